import {
  mysql2Queries,
  type Mysql2Queryable,
  pgQueries,
  type PgQueryable,
  postgresJsQueries,
  type PostgresJsQueryable,
} from './driver-queries.js';
import type { SecondConnections, SqlConnection, SqlDialect, SqlExecutor } from './executor.js';
import { connectionLimitOf, isMysql2Pool, watchMysql2 } from './from-mysql2.js';
import { isPgPool, outliveClients } from './from-pg.js';
import { refuse, untilOver } from './own-connection.js';
import { watchPool, watchPostgresJs } from './second-connections.js';

/** What `drizzle()` of `drizzle-orm/node-postgres`, `/postgres-js` or `/mysql2` returns. */
export interface DrizzleLike {
  transaction: unknown;
}

/** The transactions of a Drizzle database: what a handler gets. */
export type DrizzleTransactionOf<Db> = Db extends {
  transaction(work: (tx: infer Tx) => Promise<unknown>, ...config: never[]): Promise<unknown>;
}
  ? Tx
  : unknown;

type Begin = <T>(work: (tx: object) => Promise<T>) => Promise<T>;

/** @param client the connection of the transaction, as the driver has it */
type InTransaction<T> = (tx: object, client: object) => Promise<T>;

/** A driver that Drizzle stands on. */
interface Driver {
  readonly dialect: SqlDialect;
  readonly isSingle: boolean;
  /** False if a transaction in which a statement has failed is never committed. */
  readonly forgetsFailures: boolean;
  queries(client: object): Omit<SqlConnection, 'tx'>;
  watch(connections: SecondConnections): void;
}

/**
 * Runs statements and transactions over Drizzle, with node-postgres, postgres.js or mysql2. In a transaction,
 * `op.tx` is the `tx` that `db.transaction()` gives. The store's own statements go to the driver: Drizzle's
 * logger and cache do not see them.
 *
 * @throws {@link IdempotencyConfigurationError} for a transaction, another driver, or a single connection
 * @example
 * const executor = fromDrizzle(drizzle(process.env.DATABASE_URL));
 */
export function fromDrizzle<Db extends DrizzleLike>(db: Db): SqlExecutor<DrizzleTransactionOf<Db>> {
  const { transaction, rollback, $client } = (db ?? {}) as {
    transaction?: unknown;
    rollback?: unknown;
    $client?: unknown;
  };
  if (typeof transaction !== 'function') {
    refuse(
      'fromDrizzle()',
      db,
      'a database of drizzle-orm',
      'Pass what drizzle() returns: fromDrizzle(db).',
    );
  }
  if (typeof rollback === 'function') {
    refuse(
      'fromDrizzle()',
      'a transaction of Drizzle',
      'the database that begins transactions',
      'Pass what drizzle() returns: each operation begins a transaction of its own.',
    );
  }
  const driver = driverOf($client);
  const begin = transaction as Begin;
  return {
    name: 'fromDrizzle()',
    dialect: driver.dialect,
    client: db,
    isSingle: driver.isSingle,
    query: (query) => driver.queries($client as object).query(query),
    watch: (connections) => driver.watch(connections),
    transaction: (work) => {
      const within = <T>(inTransaction: InTransaction<T>): Promise<T> =>
        begin.call(db, async (tx) => {
          let isOver = false;
          const client = closeAtTheEnd(tx, () => isOver);
          try {
            return await inTransaction(tx, client);
          } finally {
            isOver = true;
          }
        }) as Promise<T>;
      return driver.forgetsFailures
        ? within((tx, client) =>
            work({ tx: tx as DrizzleTransactionOf<Db>, ...driver.queries(client) }),
          )
        : despiteFailures(within, driver, (tx, queries) =>
            work({ tx: tx as DrizzleTransactionOf<Db>, ...queries }),
          );
    },
  };
}

/**
 * postgres.js rolls back when any statement has failed, even one that was undone to a savepoint. Then the
 * commit is ours, and postgres.js ends the empty transaction that comes after it.
 */
async function despiteFailures<T>(
  begin: (inTransaction: InTransaction<T>) => Promise<T>,
  driver: Driver,
  work: (tx: object, queries: Omit<SqlConnection, 'tx'>) => Promise<T>,
): Promise<T> {
  let committed: { readonly result: T } | undefined;
  try {
    return await begin(async (tx, client) => {
      const queries = driver.queries(client) as Required<Omit<SqlConnection, 'tx'>>;
      let mayHaveFailed = false;
      const result = await work(tx, {
        async query(statement) {
          try {
            return await queries.query(statement);
          } catch (error) {
            mayHaveFailed = true;
            throw error;
          }
        },
        script: (texts) => queries.script(texts),
        undone() {
          mayHaveFailed = true;
        },
      });
      if (mayHaveFailed) {
        await queries.script(['COMMIT']);
        committed = { result };
        await queries.script(['BEGIN']);
      }
      return result;
    });
  } catch (error) {
    if (committed !== undefined) return committed.result;
    throw error;
  }
}

/** @throws {@link IdempotencyConfigurationError} for a client without a pool, or of another driver */
function driverOf(client: unknown): Driver {
  if (isPgPool(client)) {
    outliveClients(client);
    return {
      dialect: 'postgres',
      isSingle: (client as { options?: { max?: number } }).options?.max === 1,
      forgetsFailures: true,
      queries: (queryable) => pgQueries(queryable as PgQueryable, true),
      watch: (connections) => watchPool(client, 'connect', connections),
    };
  }
  if (isPostgresJs(client)) {
    return {
      dialect: 'postgres',
      isSingle: client.options.max === 1,
      forgetsFailures: false,
      queries: (queryable) => postgresJsQueries(queryable as unknown as PostgresJsQueryable),
      watch: (connections) => watchPostgresJs(client, connections),
    };
  }
  if (isMysql2Pool(client)) {
    return {
      dialect: 'mysql',
      isSingle: connectionLimitOf(client) === 1,
      forgetsFailures: true,
      queries: (queryable) => mysql2Queries(queryable as Mysql2Queryable),
      watch: (connections) => watchMysql2(client, connections),
    };
  }
  return refuse(
    'fromDrizzle()',
    client,
    'Drizzle over a Pool of pg, postgres() of postgres.js, or a pool of mysql2',
    'Over a single connection, the transactions of concurrent calls would mix: pass drizzle() a pool. ' +
      'For another driver, write an executor: docs/sql.md shows one.',
  );
}

function isPostgresJs(client: unknown): client is { readonly options: { readonly max?: number } } {
  const { unsafe, begin } = (client ?? {}) as { unsafe?: unknown; begin?: unknown };
  return (
    typeof client === 'function' && typeof unsafe === 'function' && typeof begin === 'function'
  );
}

interface DrizzleSession {
  client?: object;
}

/**
 * Drizzle sends what comes after the end of a transaction on the same connection, where it is committed by itself or
 * becomes part of another transaction. Here it is an error.
 *
 * @returns the connection, as the driver has it
 * @throws Error for a version of Drizzle that keeps its connection elsewhere
 */
function closeAtTheEnd(tx: object, isOver: () => boolean): object {
  const { session: own, _: inner } = tx as {
    session?: DrizzleSession;
    _?: { session?: DrizzleSession };
  };
  const session = own?.client === undefined ? inner?.session : own;
  if (session?.client === undefined)
    throw new Error('fromDrizzle() does not know this version of drizzle-orm. Use 0.36 or newer.');
  const { client } = session;
  session.client = untilOver(client, isOver);
  return client;
}
