import { pgQueries, type PgQueryable } from './driver-queries.js';
import type { SqlExecutor } from './executor.js';
import { guarded, onOwnConnection, refuse } from './own-connection.js';
import { watchPool } from './second-connections.js';

/** A `Pool` of `pg`, or one that works like it, such as that of `@neondatabase/serverless`. */
export interface PgPool {
  connect: unknown;
  query: unknown;
  readonly totalCount: number;
}

/** A client of such a pool. */
interface PgClient extends PgQueryable {
  release(error?: Error): void;
}

/** The clients of a pool: what a handler gets as its transaction. */
export type PgClientOf<Pool> = Pool extends {
  connect: { (): Promise<infer Client>; (callback: never): void };
}
  ? Client
  : Pool extends { connect(): Promise<infer Client> }
    ? Client
    : unknown;

/** Options of {@link fromPg}. */
export interface FromPgOptions {
  /**
   * Gives every statement a name, so that a connection plans it once. To be switched off behind a pooler
   * that hands a connection to somebody else after each transaction, unless it keeps track of names.
   * @default true
   */
  readonly preparedStatements?: boolean;
}

/**
 * Runs statements and transactions over a pool of `pg` (node-postgres). In a transaction, `op.tx` is the
 * client that the pool has lent for it.
 *
 * @throws {@link IdempotencyConfigurationError} for anything but a pool
 * @example
 * const executor = fromPg(new Pool({ connectionString: process.env.DATABASE_URL }));
 */
export function fromPg<Pool extends PgPool>(
  pool: Pool,
  { preparedStatements = true }: FromPgOptions = {},
): SqlExecutor<PgClientOf<Pool>> {
  if (!isPgPool(pool)) {
    refuse(
      'fromPg()',
      pool,
      'a Pool of pg',
      'A Client has one connection, on which the transactions of concurrent calls would mix. Pass a pool: fromPg(new Pool(options)).',
    );
  }
  outliveClients(pool);
  const queries = pgQueries(pool as unknown as PgQueryable, preparedStatements);
  return {
    name: 'fromPg()',
    dialect: 'postgres',
    client: pool,
    isSingle: (pool as { options?: { max?: number } }).options?.max === 1,
    query: (query) => queries.query(query),
    watch: (connections) => watchPool(pool, 'connect', connections),
    async transaction(work) {
      const client = await (pool.connect as () => Promise<PgClient>).call(pool);
      const run = (text: string): Promise<{ readonly command?: string }> =>
        client.query({ text, values: [] });
      let isOpen = true;
      const tx = guarded(client, () => isOpen, ['release', 'end']);
      return onOwnConnection(
        {
          begin: () => run('BEGIN'),
          async commit() {
            // PostgreSQL answers the COMMIT of a transaction that a failed statement has aborted with a ROLLBACK.
            const { command } = await run('COMMIT');
            if (command === 'ROLLBACK')
              throw new Error('A statement has failed: nothing was committed.');
          },
          rollback: () => run('ROLLBACK'),
          giveBack: (error) => client.release(error),
        },
        async () => {
          try {
            return await work({
              tx: tx as PgClientOf<Pool>,
              ...pgQueries(client, preparedStatements),
            });
          } finally {
            isOpen = false;
          }
        },
      );
    },
  };
}

/** By what it can do: the application may have another copy of `pg`. */
export function isPgPool(value: unknown): value is PgPool {
  const { connect, query, totalCount } = (value ?? {}) as Partial<PgPool>;
  return (
    typeof connect === 'function' && typeof query === 'function' && typeof totalCount === 'number'
  );
}

/** The part of a pool of `pg`, and of its clients, that is needed here. */
interface Emitting {
  on(event: 'acquire' | 'error', listener: (client: Emitting) => void): unknown;
}

const heard = new WeakSet<object>();

/**
 * If a connection breaks while it is lent, nobody listens for its error, and Node would end the process.
 * The next statement on it still gets the error.
 */
export function outliveClients(pool: object): void {
  if (typeof (pool as Partial<Emitting>).on !== 'function' || heard.has(pool)) return;
  heard.add(pool);
  (pool as Emitting).on('acquire', (client) => {
    if (heard.has(client)) return;
    heard.add(client);
    client.on('error', () => undefined);
  });
}
