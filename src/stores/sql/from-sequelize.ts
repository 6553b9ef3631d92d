import {
  mysql2Queries,
  type Mysql2Queryable,
  pgQueries,
  type PgQueryable,
} from './driver-queries.js';
import type { SqlDialect, SqlExecutor, SqlQueries } from './executor.js';
import { refuse, whileOpen } from './own-connection.js';
import { watchLender } from './second-connections.js';

/** A `Sequelize` of `sequelize` 6. */
export interface SequelizeLike {
  getDialect(): string;
  transaction: unknown;
  readonly connectionManager?: object;
}

/** The transactions of a Sequelize: what a handler passes to its queries. */
export type SequelizeTransactionOf<Db> = Db extends {
  transaction(options?: never): Promise<infer Tx>;
}
  ? Tx
  : unknown;

/** It has no public way to lend a connection. */
interface ConnectionManager {
  getConnection(options: { readonly type: 'WRITE'; readonly useMaster: boolean }): Promise<object>;
  releaseConnection(connection: object): void;
}

/** Ended by `commit()` or `rollback()` of the handler or, after a deadlock on MySQL, of Sequelize itself. */
interface Transaction {
  readonly connection?: object;
  readonly finished?: string;
}

type Begin = <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>;

const DIALECTS: Readonly<Record<string, SqlDialect>> = { postgres: 'postgres', mysql: 'mysql' };

/**
 * Runs statements and transactions over Sequelize 6, with `pg` or `mysql2`. In a transaction, `op.tx` is its
 * `Transaction`, to be passed to queries: `Payment.create(values, { transaction: op.tx })`. With
 * `Sequelize.useCLS()` they take part without it.
 *
 * @throws {@link IdempotencyConfigurationError} for another dialect
 * @example
 * const executor = fromSequelize(new Sequelize(process.env.DATABASE_URL));
 */
export function fromSequelize<Db extends SequelizeLike>(
  sequelize: Db,
): SqlExecutor<SequelizeTransactionOf<Db>> {
  const { getDialect, connectionManager } = (sequelize ?? {}) as Partial<Db>;
  const manager = connectionManager as Partial<ConnectionManager> | undefined;
  if (typeof getDialect !== 'function' || typeof manager?.getConnection !== 'function') {
    refuse(
      'fromSequelize()',
      sequelize,
      'a Sequelize of sequelize 6',
      'Pass it: fromSequelize(new Sequelize(options)).',
    );
  }
  const spoken = sequelize.getDialect();
  const dialect = DIALECTS[spoken];
  if (dialect === undefined) {
    refuse(
      'fromSequelize()',
      `a Sequelize with the dialect ${spoken}`,
      "a Sequelize with the dialect 'postgres' or 'mysql'",
      "For MariaDB use the dialect 'mysql' with mysql2. For others, write an executor: docs/sql.md shows one.",
    );
  }
  const pool = manager as ConnectionManager;
  const begin = sequelize.transaction as Begin;
  return {
    name: 'fromSequelize()',
    dialect,
    client: sequelize,
    isSingle: (sequelize as { options?: { pool?: { max?: number } } }).options?.pool?.max === 1,
    watch(connections) {
      const giveBack = (connection: object): void => pool.releaseConnection(connection);
      watchLender(pool, 'getConnection', giveBack, connections);
    },
    async query(query) {
      const connection = await pool.getConnection({ type: 'WRITE', useMaster: true });
      try {
        return await queriesOf(connection, dialect).query(query);
      } finally {
        pool.releaseConnection(connection);
      }
    },
    transaction: (work) =>
      begin.call(sequelize, (transaction) => {
        const { connection } = transaction;
        if (connection === undefined) throw new Error('fromSequelize() only knows sequelize 6.');
        return work({
          tx: transaction as SequelizeTransactionOf<Db>,
          ...whileOpen(queriesOf(connection, dialect), () => transaction.finished !== undefined),
        });
      }) as ReturnType<typeof work>,
  };
}

function queriesOf(connection: object, dialect: SqlDialect): SqlQueries {
  return dialect === 'postgres'
    ? pgQueries(connection as PgQueryable, true)
    : mysql2Queries(connection as Mysql2Queryable);
}
