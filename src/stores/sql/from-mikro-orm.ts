import type { SqlDialect, SqlExecutor, SqlQueries } from './executor.js';
import { knexQueries, type KnexTransaction, queriesWithin, watchKnex } from './from-knex.js';
import { refuse } from './own-connection.js';

/** A `MikroORM` of `@mikro-orm/postgresql`, `/mysql` or `/mariadb`. */
export interface MikroOrmLike {
  readonly em: object;
}

/** The entity managers of an ORM: what a handler gets is a fork in a transaction. */
export type MikroOrmManagerOf<Orm> = Orm extends { readonly em: infer Manager } ? Manager : unknown;

interface KnexOwner {
  readonly client: Parameters<typeof knexQueries>[0];
}

/** An `EntityManager`, as far as it is needed. */
interface Manager {
  fork(options: { readonly disableContextResolution: true }): Manager;
  clear(): void;
  flush(): Promise<void>;
  getConnection(): { getKnex?(): KnexOwner };
  getTransactionContext(): KnexTransaction | undefined;
  transactional<T>(work: (em: Manager) => Promise<T>): Promise<T>;
}

const DIALECTS: Readonly<Record<string, SqlDialect>> = { pg: 'postgres', mysql2: 'mysql' };

/**
 * Runs statements and transactions over MikroORM 6. In a transaction, `op.tx` is a fork of the
 * `EntityManager`. Injected managers and repositories take part as well. What the handler has persisted is
 * flushed before the commit.
 *
 * @throws {@link IdempotencyConfigurationError} for anything but an ORM with a SQL database
 * @example
 * const executor = fromMikroOrm(await MikroORM.init(config));
 */
export function fromMikroOrm<Orm extends MikroOrmLike>(
  orm: Orm,
): SqlExecutor<MikroOrmManagerOf<Orm>> {
  const em = (orm as Partial<Orm> | undefined)?.em as Partial<Manager> | undefined;
  if (typeof em?.transactional !== 'function' || typeof em.getConnection !== 'function') {
    refuse(
      'fromMikroOrm()',
      orm,
      'a MikroORM',
      'Pass the ORM itself, as MikroORM.init() returns it: fromMikroOrm(orm).',
    );
  }
  const manager = em as Manager;
  const knex = (): KnexOwner => {
    const connection = manager.getConnection();
    if (typeof connection.getKnex === 'function') return connection.getKnex();
    return refuse(
      'fromMikroOrm()',
      'an ORM whose connection has no Knex',
      'MikroORM 6 on PostgreSQL, MySQL or MariaDB',
      'Use one of these, or write an executor: docs/sql.md shows one.',
    );
  };
  const { driverName } = knex().client;
  const dialect = DIALECTS[driverName ?? ''];
  if (dialect === undefined) {
    refuse(
      'fromMikroOrm()',
      `an ORM with the driver ${String(driverName)}`,
      'MikroORM on PostgreSQL, MySQL or MariaDB',
      'Use one of these, or write an executor: docs/sql.md shows one.',
    );
  }
  return {
    name: 'fromMikroOrm()',
    dialect,
    client: orm,
    isSingle: knex().client.pool?.max === 1,
    query: (query) => knexQueries(knex().client, dialect).query(query),
    watch: (connections) => watchKnex(knex().client, connections),
    transaction: (work) =>
      // Otherwise it would be a fork of whatever ORM of the same name the code has a transaction of.
      manager.fork({ disableContextResolution: true }).transactional((tx) =>
        work({
          tx: tx as MikroOrmManagerOf<Orm>,
          ...queriesOf(tx, dialect),
          // What was persisted and not yet flushed would be written at the commit.
          undone: () => tx.clear(),
          flush: () => tx.flush(),
        }),
      ),
  };
}

function queriesOf(tx: Manager, dialect: SqlDialect): SqlQueries {
  const context = tx.getTransactionContext();
  if (context === undefined) throw new Error('fromMikroOrm() only knows MikroORM 6.');
  return queriesWithin(context, dialect);
}
