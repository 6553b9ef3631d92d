import { mysql2Queries, type Mysql2Queryable } from './driver-queries.js';
import type { SecondConnections, SqlExecutor } from './executor.js';
import { guarded, onOwnConnection, refuse } from './own-connection.js';
import { watchPool } from './second-connections.js';

/** A pool of `mysql2`, or of `mysql2/promise`. */
export interface Mysql2Pool {
  query: unknown;
  getConnection: unknown;
}

/** A connection of such a pool, with promises. */
interface Mysql2Connection extends Mysql2Queryable {
  beginTransaction(): Promise<void>;
  commit(): Promise<void>;
  rollback(): Promise<void>;
  release(): void;
  destroy(): void;
}

/** The connections of a pool with promises: what a handler gets as its transaction. */
export type Mysql2ConnectionOf<Pool> = Pool extends { promise(): infer Promised }
  ? Mysql2ConnectionOf<Promised>
  : Pool extends { getConnection(): Promise<infer Connection> }
    ? Connection
    : unknown;

/**
 * Runs statements and transactions over a pool of `mysql2`, for MySQL and MariaDB. In a transaction, `op.tx` is
 * the connection that the pool has lent for it, with promises.
 *
 * @throws {@link IdempotencyConfigurationError} for anything but a pool
 * @example
 * const executor = fromMysql2(createPool({ uri: process.env.DATABASE_URL }));
 */
export function fromMysql2<Pool extends Mysql2Pool>(
  pool: Pool,
): SqlExecutor<Mysql2ConnectionOf<Pool>> {
  if (!isMysql2Pool(pool)) {
    refuse(
      'fromMysql2()',
      pool,
      'a pool of mysql2',
      'A Connection is one, on which the transactions of concurrent calls would mix. Pass a pool: fromMysql2(createPool(options)).',
    );
  }
  const promised = promisedPool(pool);
  return {
    name: 'fromMysql2()',
    dialect: 'mysql',
    client: pool,
    isSingle: connectionLimitOf(pool) === 1,
    ...mysql2Queries(promised),
    watch: (connections) => watchMysql2(pool, connections),
    async transaction(work) {
      const connection = await promised.getConnection();
      let isOpen = true;
      const tx = guarded(connection, () => isOpen, OWN);
      return onOwnConnection(
        {
          begin: () => connection.beginTransaction(),
          commit: () => connection.commit(),
          rollback: () => connection.rollback(),
          giveBack: (error) => (error ? connection.destroy() : connection.release()),
        },
        async () => {
          try {
            return await work({
              tx: tx as Mysql2ConnectionOf<Pool>,
              ...mysql2Queries(connection),
            });
          } finally {
            isOpen = false;
          }
        },
      );
    },
  };
}

/** What ends a transaction or gives back the connection. */
const OWN = ['beginTransaction', 'commit', 'rollback', 'release', 'destroy', 'end', 'changeUser'];

export function isMysql2Pool(value: unknown): value is Mysql2Pool {
  const { getConnection, query } = (value ?? {}) as Partial<Mysql2Pool>;
  return typeof getConnection === 'function' && typeof query === 'function';
}

function promisedPool(
  pool: Mysql2Pool,
): Mysql2Queryable & { getConnection(): Promise<Mysql2Connection> } {
  const { promise } = pool as unknown as { promise?: () => unknown };
  return (typeof promise === 'function' ? promise.call(pool) : pool) as Mysql2Queryable & {
    getConnection(): Promise<Mysql2Connection>;
  };
}

export function watchMysql2(pool: Mysql2Pool, connections: SecondConnections): void {
  watchPool(innerOf(pool), 'getConnection', connections);
}

/** Pools with promises have the one with callbacks in them, and it has all connections. */
function innerOf(pool: Mysql2Pool): Mysql2Pool {
  const { pool: inner } = pool as unknown as { pool?: unknown };
  return isMysql2Pool(inner) ? inner : pool;
}

export function connectionLimitOf(pool: Mysql2Pool): number | undefined {
  const { config } = innerOf(pool) as { config?: { connectionLimit?: number } };
  return config?.connectionLimit;
}
