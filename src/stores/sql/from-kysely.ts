import type {
  SecondConnections,
  SqlDialect,
  SqlExecutor,
  SqlQueries,
  SqlQuery,
  SqlResult,
} from './executor.js';
import { refuse } from './own-connection.js';
import { isPrepared, prepareKysely, watchKysely } from './second-connections.js';

/** What Kysely and its transactions have in common. */
interface KyselyQueryable {
  withoutPlugins(): KyselyQueryable;
  executeQuery(query: object): Promise<KyselyResult>;
}

interface KyselyResult {
  readonly rows: readonly unknown[];
  readonly numAffectedRows?: bigint;
  readonly insertId?: bigint;
}

/** A `Kysely` of `kysely`. */
export interface KyselyLike {
  transaction(): object;
  withoutPlugins(): object;
  readonly isTransaction: boolean;
}

/** The transactions of a Kysely: what a handler gets. */
export type KyselyTransactionOf<Db> = Db extends {
  transaction(): { execute(work: (tx: infer Tx) => Promise<unknown>): Promise<unknown> };
}
  ? Tx
  : unknown;

/** Options of {@link fromKysely}. */
export interface FromKyselyOptions {
  /**
   * Whose SQL the database speaks. Has to be said only with a dialect of Kysely that is not its own.
   * @default what Kysely's own dialect is
   */
  readonly dialect?: SqlDialect;
}

interface KyselyBuilder {
  execute<T>(work: (tx: KyselyQueryable) => Promise<T>): Promise<T>;
}

/**
 * Runs statements and transactions over Kysely, on PostgreSQL, MySQL or MariaDB, or SQLite. In a
 * transaction, `op.tx` is Kysely's `Transaction`. Plugins do not see the store's own statements.
 *
 * @throws {@link IdempotencyConfigurationError} for a transaction
 * @example
 * const executor = fromKysely(new Kysely<Database>({ dialect: new PostgresDialect({ pool }) }));
 */
export function fromKysely<Db extends KyselyLike>(
  db: Db,
  { dialect }: FromKyselyOptions = {},
): SqlExecutor<KyselyTransactionOf<Db>> {
  if (typeof (db as Partial<Db> | undefined)?.withoutPlugins !== 'function') {
    refuse('fromKysely()', db, 'a Kysely', 'Pass it: fromKysely(new Kysely({ dialect })).');
  }
  if (db.isTransaction) {
    refuse(
      'fromKysely()',
      'a transaction of Kysely',
      'the Kysely that begins transactions',
      'Pass the Kysely itself: each operation begins a transaction of its own.',
    );
  }
  const known = dialect ?? dialectOf(db);
  const queries = kyselyQueries(db as unknown as KyselyQueryable);
  prepareKysely(db);
  return {
    name: 'fromKysely()',
    ...(known !== undefined && { dialect: known }),
    client: db,
    isSingle: known === 'sqlite',
    ...queries,
    ...(isPrepared(db) && {
      watch: (connections: SecondConnections) => watchKysely(db, connections),
    }),
    transaction: (work) =>
      (db.transaction() as KyselyBuilder).execute((tx) =>
        work({ tx: tx as KyselyTransactionOf<Db>, ...kyselyQueries(tx) }),
      ),
  };
}

const FACTS = ['supportsReturning', 'supportsTransactionalDdl'] as const;

/** By what the database can do, because a bundler may have renamed the classes. */
function dialectOf(db: object): SqlDialect | undefined {
  const { getExecutor } = db as { getExecutor?: () => { adapter?: Record<string, unknown> } };
  const adapter = typeof getExecutor === 'function' ? getExecutor.call(db).adapter : undefined;
  const [returning, transactionalDdl] = FACTS.map((fact) => adapter?.[fact]);
  if (returning === true) return transactionalDdl === true ? 'postgres' : 'sqlite';
  // SQL Server's has OUTPUT.
  return returning === false && adapter?.supportsOutput !== true ? 'mysql' : undefined;
}

function kyselyQueries(db: KyselyQueryable): SqlQueries {
  // Plugins would give the columns other names.
  const plain = db.withoutPlugins();
  return {
    async query({ text, values }: SqlQuery): Promise<SqlResult> {
      const { rows, numAffectedRows, insertId } = await plain.executeQuery(compiled(text, values));
      return {
        rows: rows as NonNullable<SqlResult['rows']>,
        ...(numAffectedRows !== undefined && { affected: numAffectedRows }),
        ...(insertId !== undefined && { insertId }),
      };
    },
  };
}

/** What `CompiledQuery.raw()` of Kysely makes. */
function compiled(sql: string, parameters: readonly unknown[]): object {
  const query = { kind: 'RawNode', sqlFragments: [sql], parameters: [] };
  return { sql, query, parameters, queryId: { queryId: 'idempotency' } };
}
