import type {
  SecondConnections,
  SqlConnection,
  SqlDialect,
  SqlExecutor,
  SqlQueries,
  SqlQuery,
  SqlResult,
  SqlValue,
} from './executor.js';
import { refuse } from './own-connection.js';
import {
  adapterOf,
  isPrismaPoolOfOne,
  isWatchable,
  originalOf,
  type PrismaAdapter,
  rememberPool,
  watchPrisma,
  withoutExtensions,
} from './prisma-client.js';
import { prismaErrorOf } from './prisma-errors.js';

/** A `PrismaClient` with a driver adapter. */
export interface PrismaLike {
  $transaction: unknown;
  $queryRawUnsafe: unknown;
  $executeRawUnsafe: unknown;
}

/** The interactive transactions of a Prisma client: what a handler gets. */
export type PrismaTransactionOf<Client> = Client extends {
  $transaction(work: (tx: infer Tx) => Promise<unknown>, ...options: never[]): Promise<unknown>;
}
  ? Tx
  : unknown;

/** What a client and its transactions have in common. */
interface PrismaQueryable {
  $queryRawUnsafe(text: string, ...values: unknown[]): PromiseLike<PrismaRows>;
  $executeRawUnsafe(text: string, ...values: unknown[]): PromiseLike<number>;
}

type PrismaRows = NonNullable<SqlResult['rows']>;

interface Limits {
  readonly maxWait: number;
  readonly timeout: number;
}

type Begin = <T>(work: (tx: PrismaQueryable) => Promise<T>, limits: Limits) => Promise<T>;

type RunTogether = (queries: readonly PromiseLike<unknown>[]) => Promise<unknown[]>;

/** What Prisma's adapters call the databases. */
const DIALECTS: Readonly<Record<string, SqlDialect>> = { postgres: 'postgres', mysql: 'mysql' };

/**
 * Prisma ends a transaction after five seconds, and waits two for a connection. Here a handler has the time that
 * it needs, and the engine gives up waiting after `storeTimeout`. The most that a timer of Node can wait, in milliseconds.
 */
const NO_LIMIT_MS = 2 ** 31 - 1;
const NO_LIMITS: Limits = { maxWait: NO_LIMIT_MS, timeout: NO_LIMIT_MS };

/**
 * Runs statements and transactions over Prisma with a driver adapter for PostgreSQL, MySQL or MariaDB. In a
 * transaction, `op.tx` is what `prisma.$transaction(async (tx) => …)` gives, without Prisma's time-outs. Client
 * extensions do not see the store's own statements.
 *
 * Call it before the client connects: then the store sees work beside the transaction, and limits how long it waits.
 *
 * @throws {@link IdempotencyConfigurationError} for a transaction, a client without a driver adapter, or another database
 * @example
 * const adapter = new PrismaPg({ connectionString: process.env.DATABASE_URL });
 * const executor = fromPrisma(new PrismaClient({ adapter }));
 */
export function fromPrisma<Client extends PrismaLike>(
  client: Client,
): SqlExecutor<PrismaTransactionOf<Client>> {
  const { $queryRawUnsafe, $transaction, $connect } = (client ?? {}) as Partial<Client> & {
    $connect?: unknown;
  };
  if (typeof $queryRawUnsafe !== 'function') {
    refuse(
      'fromPrisma()',
      client,
      'a PrismaClient',
      'Pass it: fromPrisma(new PrismaClient({ adapter })).',
    );
  }
  if (typeof $connect !== 'function') {
    refuse(
      'fromPrisma()',
      'a transaction of Prisma',
      'the PrismaClient that begins transactions',
      'Pass the client itself: each operation begins a transaction of its own.',
    );
  }
  const adapter = adapterOf(client);
  const dialect = DIALECTS[adapter?.provider ?? ''];
  if (adapter === undefined || dialect === undefined) refuseAdapter(adapter);
  rememberPool(adapter);
  // Extensions would see the records, and may send each statement over a connection of their own.
  const original = originalOf(client) as unknown as PrismaQueryable & {
    $transaction(queries: readonly PromiseLike<unknown>[], limits: Limits): Promise<unknown[]>;
  };
  const begin = $transaction as Begin;
  const queries = prismaQueries(original, (both) => original.$transaction(both, NO_LIMITS));
  const transaction = <T>(
    work: (connection: SqlConnection<PrismaTransactionOf<Client>>) => Promise<T>,
  ): Promise<T> =>
    begin.call(
      client,
      (tx) =>
        work({
          tx: tx as PrismaTransactionOf<Client>,
          ...prismaQueries(withoutExtensions(client, tx), inOrder),
        }),
      NO_LIMITS,
    ) as Promise<T>;
  return {
    name: 'fromPrisma()',
    dialect,
    client,
    get isSingle() {
      return isPrismaPoolOfOne(adapter);
    },
    query: (query) => queries.query(query),
    errorOf: (error) => prismaErrorOf(error, dialect),
    ...(dialect === 'mysql' && { start: () => checkSavepoints(transaction) }),
    ...(isWatchable(client) && {
      watch: (connections: SecondConnections) => watchPrisma(client, connections),
    }),
    transaction,
  };
}

function refuseAdapter(adapter: PrismaAdapter | undefined): never {
  refuse(
    'fromPrisma()',
    adapter === undefined
      ? 'a PrismaClient without a driver adapter'
      : `a PrismaClient with an adapter for ${String(adapter.provider)}`,
    'a PrismaClient with a driver adapter for PostgreSQL, MySQL or MariaDB',
    'Use one, such as new PrismaClient({ adapter: new PrismaPg({ connectionString }) }), or write an executor: docs/sql.md shows one.',
  );
}

/** `ER_UNSUPPORTED_PS` */
const NOT_PREPARED = 1295;

/**
 * @throws {@link IdempotencyConfigurationError} on MySQL, whose prepared statements have no savepoints. A database
 *   that cannot be reached yet is not asked.
 */
async function checkSavepoints(transaction: SqlExecutor['transaction']): Promise<void> {
  const text = 'SAVEPOINT idempotency_check';
  const savepoint = { name: 'idempotency_check', text, values: [], returnsRows: false };
  try {
    await transaction((connection) => connection.query(savepoint));
  } catch (error) {
    const { errno } = (prismaErrorOf(error, 'mysql') ?? {}) as { errno?: number };
    if (errno !== NOT_PREPARED) return;
    refuse(
      'fromPrisma()',
      'an adapter whose prepared statements have no savepoints',
      'one that sends text to MySQL',
      'Pass the option: new PrismaMariaDb(url, { useTextProtocol: true }).',
    );
  }
}

/** Statements of MySQL that answer with an insert id, which Prisma does not tell. */
const WITH_INSERT_ID = /\blast_insert_id\(/i;

/** The id of the statement before; the next one that sets none has 0. */
const READ_INSERT_ID = 'SELECT last_insert_id() AS id, last_insert_id(0) AS none';

/** @param together runs both on one connection */
function prismaQueries(client: PrismaQueryable, together: RunTogether): SqlQueries {
  return {
    async query(query: SqlQuery): Promise<SqlResult> {
      const { text, values } = withoutLists(query);
      if (query.returnsRows) return { rows: await client.$queryRawUnsafe(text, ...values) };
      if (!WITH_INSERT_ID.test(text))
        return { affected: await client.$executeRawUnsafe(text, ...values) };
      const answers = await together([
        client.$executeRawUnsafe(text, ...values),
        client.$queryRawUnsafe(READ_INSERT_ID),
      ]);
      const [affected, [last]] = answers as [number, [{ readonly id: bigint }]];
      // A statement that changed nothing may have left the id of another one.
      return { affected, insertId: affected === 0 ? 0 : last.id };
    },
  };
}

/** A query of Prisma is sent when somebody waits for it. */
async function inOrder(queries: readonly PromiseLike<unknown>[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const query of queries) answers.push(await query);
  return answers;
}

/** `IN (?)` with a placeholder for each member of the list. */
function withoutLists({ text, values }: Pick<SqlQuery, 'text' | 'values'>): {
  readonly text: string;
  readonly values: readonly SqlValue[];
} {
  if (!values.some(isList)) return { text, values };
  let at = 0;
  return {
    text: text.replaceAll('?', () => {
      const value = values[at++]!;
      return isList(value) ? value.map(() => '?').join(', ') : '?';
    }),
    values: values.flatMap<SqlValue>((value) => (isList(value) ? value : [value])),
  };
}

function isList(value: SqlValue): value is readonly Buffer[] {
  return Array.isArray(value);
}
