import {
  mysql2Queries,
  type Mysql2Queryable,
  pgQueries,
  type PgQueryable,
} from './driver-queries.js';
import type {
  SecondConnections,
  SqlDialect,
  SqlExecutor,
  SqlQueries,
  SqlQuery,
  SqlResult,
} from './executor.js';
import { refuse, whileOpen } from './own-connection.js';
import { watchLender } from './second-connections.js';

/** What Knex and its transactions have in common. */
interface KnexClient {
  readonly driverName?: string;
  readonly pool?: { readonly max?: number };
  acquireConnection(): Promise<object>;
  releaseConnection(connection: object): unknown;
}

/** A `Knex` of `knex`. */
export interface KnexLike {
  readonly client: object;
  transaction: unknown;
}

/** The transactions of a Knex: what a handler gets. */
export type KnexTransactionOf<Db> = Db extends {
  transaction(config?: never): Promise<infer Tx>;
}
  ? Tx
  : unknown;

/** A transaction of Knex. */
export interface KnexTransaction {
  readonly client: KnexClient;
  isCompleted(): boolean;
}

type Begin = <T>(work: (trx: KnexTransaction) => Promise<T>) => Promise<T>;

const DIALECTS: Readonly<Record<string, SqlDialect>> = {
  pg: 'postgres',
  mysql2: 'mysql',
};

/**
 * Runs statements and transactions over Knex, with `pg` or `mysql2`. In a transaction, `op.tx` is its
 * `Knex.Transaction`. The store's own statements go to the driver, and not through Knex's hooks.
 *
 * @throws {@link IdempotencyConfigurationError} for a transaction, or a Knex with another driver
 * @example
 * const executor = fromKnex(knex({ client: 'pg', connection: process.env.DATABASE_URL }));
 */
export function fromKnex<Db extends KnexLike>(db: Db): SqlExecutor<KnexTransactionOf<Db>> {
  const { client, isTransaction } = (db ?? {}) as Partial<Db> & { isTransaction?: boolean };
  if (typeof (client as Partial<KnexClient> | undefined)?.acquireConnection !== 'function') {
    refuse(
      'fromKnex()',
      db,
      'a Knex of knex',
      'Pass what knex() returns: fromKnex(knex(options)).',
    );
  }
  if (isTransaction === true) {
    refuse(
      'fromKnex()',
      'a transaction of Knex',
      'the Knex that begins transactions',
      'Pass what knex() returns: each operation begins a transaction of its own.',
    );
  }
  const owner = client as unknown as KnexClient;
  const dialect = DIALECTS[owner.driverName ?? ''];
  if (dialect === undefined) {
    refuse(
      'fromKnex()',
      `a Knex with the driver ${String(owner.driverName)}`,
      "a Knex with `client: 'pg'` or `client: 'mysql2'`",
      'Use one of these drivers, or write an executor: docs/sql.md shows one.',
    );
  }
  const begin = db.transaction as Begin;
  return {
    name: 'fromKnex()',
    dialect,
    client: db,
    isSingle: owner.pool?.max === 1,
    ...knexQueries(owner, dialect),
    watch: (connections) => watchKnex(owner, connections),
    transaction: (work) =>
      begin.call(db, (trx) =>
        work({ tx: trx as KnexTransactionOf<Db>, ...queriesWithin(trx, dialect) }),
      ) as ReturnType<typeof work>,
  };
}

export function watchKnex(client: KnexClient, connections: SecondConnections): void {
  const giveBack = (connection: object): unknown => client.releaseConnection(connection);
  watchLender(client, 'acquireConnection', giveBack, connections);
}

/** Statements in a transaction of Knex. */
export function queriesWithin(trx: KnexTransaction, dialect: SqlDialect): SqlQueries {
  return whileOpen(knexQueries(trx.client, dialect), () => trx.isCompleted());
}

/** Statements on a connection of Knex's pool, or on that of its transaction. */
export function knexQueries(client: KnexClient, dialect: SqlDialect): SqlQueries {
  return {
    async query(query: SqlQuery): Promise<SqlResult> {
      const connection = await client.acquireConnection();
      try {
        const queries =
          dialect === 'postgres'
            ? pgQueries(connection as PgQueryable, true)
            : mysql2Queries(connection as Mysql2Queryable);
        return await queries.query(query);
      } finally {
        await client.releaseConnection(connection);
      }
    },
  };
}
