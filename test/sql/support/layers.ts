import { EntitySchema, MikroORM, type SqlEntityManager } from '@mikro-orm/mysql';
import { MikroORM as PostgresMikroORM } from '@mikro-orm/postgresql';
import knex, { type Knex } from 'knex';
import {
  CamelCasePlugin,
  CompiledQuery,
  Kysely,
  MysqlDialect,
  PostgresDialect,
  type Transaction,
} from 'kysely';
import { createPool as createCallbackPool } from 'mysql2';
import { fromKnex, fromKysely, fromMikroOrm, fromSequelize } from 'nestjs-idempotency/sql';
import { Pool } from 'pg';
import { Sequelize, type Transaction as SequelizeTransaction } from 'sequelize';
import { DRIZZLE_MYSQL2, DRIZZLE_PG, DRIZZLE_POSTGRES_JS } from './drizzle.js';
import type { Layer, OpenLayer } from './layer.js';

type Rows = readonly Record<string, unknown>[];

const insertion = (table: string, id: string): string => `INSERT INTO ${table} VALUES ('${id}')`;

function openKnex(config: Knex.Config): OpenLayer {
  const db = knex({
    ...config,
    // As `knexSnakeCaseMappers()` of Objection has it: nothing of it may reach the store's rows.
    postProcessResponse: () => 'hooked',
    wrapIdentifier: (name, original) => original(name),
  });
  return {
    executor: fromKnex(db),
    insert: async (tx, table, id) => {
      await (tx as Knex.Transaction).raw(insertion(table, id));
    },
    run: async (tx, text) => {
      await (tx as Knex.Transaction).raw(text);
    },
    query: async (text) => {
      const connection = (await db.client.acquireConnection()) as {
        query(text: string): Promise<{ rows: Rows }>;
        promise?: () => { query(text: string): Promise<[Rows]> };
      };
      try {
        if (connection.promise) return (await connection.promise().query(text))[0];
        return (await connection.query(text)).rows;
      } finally {
        await db.client.releaseConnection(connection);
      }
    },
    ways: {
      'a raw query': (text) => Promise.resolve(db.raw(text)),
      'a transaction': (text) => db.transaction((trx) => trx.raw(text)),
    },
    close: () => db.destroy(),
  };
}

export const KNEX_PG: Layer = {
  name: 'fromKnex() with pg',
  dialect: 'postgres',
  open: (connection, max) => openKnex({ client: 'pg', connection, pool: { min: 0, max } }),
};

export const KNEX_MYSQL2: Layer = {
  name: 'fromKnex() with mysql2',
  dialect: 'mysql',
  open: (uri, max) =>
    openKnex({ client: 'mysql2', connection: { uri } as never, pool: { min: 0, max } }),
};

function openKysely(db: Kysely<object>): OpenLayer {
  const raw = async (on: Kysely<object>, text: string): Promise<Rows> =>
    (await on.executeQuery(CompiledQuery.raw(text))).rows as Rows;
  return {
    executor: fromKysely(db),
    insert: (tx, table, id) => raw(tx as Transaction<object>, insertion(table, id)),
    run: (tx, text) => raw(tx as Transaction<object>, text),
    query: (text) => raw(db, text),
    ways: {
      'a copy with plugins': (text) => raw(db.withPlugin(new CamelCasePlugin()), text),
      'a copy without plugins': (text) => raw(db.withoutPlugins(), text),
      'a transaction': (text) => db.transaction().execute((tx) => raw(tx, text)),
      'a transaction that is begun and committed': async (text) => {
        const tx = await db.startTransaction().execute();
        await raw(tx, text);
        await tx.commit().execute();
      },
      'a connection': (text) => db.connection().execute((one) => raw(one, text)),
    },
    close: () => db.destroy(),
  };
}

export const KYSELY_PG: Layer = {
  name: 'fromKysely() on PostgreSQL',
  dialect: 'postgres',
  open: (connectionString, max) =>
    openKysely(
      new Kysely({
        dialect: new PostgresDialect({ pool: new Pool({ connectionString, max }) }),
        plugins: [new CamelCasePlugin()],
      }),
    ),
};

export const KYSELY_MYSQL: Layer = {
  name: 'fromKysely() on MariaDB',
  dialect: 'mysql',
  open: (uri, connectionLimit) =>
    openKysely(
      new Kysely({
        dialect: new MysqlDialect({ pool: createCallbackPool({ uri, connectionLimit }) as never }),
        plugins: [new CamelCasePlugin()],
      }),
    ),
};

function openSequelize(url: string, max: number, dialect: 'postgres' | 'mysql'): OpenLayer {
  const sequelize = new Sequelize(url, { dialect, logging: false, pool: { max, min: 0 } });
  return {
    executor: fromSequelize(sequelize),
    insert: (tx, table, id) =>
      sequelize.query(insertion(table, id), { transaction: tx as SequelizeTransaction }),
    run: (tx, text) => sequelize.query(text, { transaction: tx as SequelizeTransaction }),
    query: async (text) => (await sequelize.query(text))[0] as Rows,
    ways: {
      'a transaction': (text) =>
        sequelize.transaction((transaction) => sequelize.query(text, { transaction })),
    },
    close: () => sequelize.close(),
  };
}

export const SEQUELIZE_PG: Layer = {
  name: 'fromSequelize() on PostgreSQL',
  dialect: 'postgres',
  open: (url, max) => openSequelize(url, max, 'postgres'),
};

export const SEQUELIZE_MYSQL: Layer = {
  name: 'fromSequelize() on MariaDB',
  dialect: 'mysql',
  open: (url, max) => openSequelize(url.replace(/^mariadb:/, 'mysql:'), max, 'mysql'),
};

interface Payment {
  id: string;
}
const PAYMENT = new EntitySchema<Payment>({
  name: 'Payment',
  tableName: 'payments',
  properties: { id: { type: 'string', primary: true } },
});
const CHILD = new EntitySchema<Payment>({
  name: 'Child',
  tableName: 'children',
  properties: { id: { type: 'string', primary: true } },
});

function openMikroOrm(orm: { readonly em: SqlEntityManager; close(): Promise<void> }): OpenLayer {
  const { em } = orm;
  return {
    executor: fromMikroOrm(orm),
    /** As an entity, and not flushed: that is for the commit. */
    insert: async (tx, table, id) => {
      await Promise.resolve();
      const manager = tx as SqlEntityManager;
      manager.persist(manager.create(table === 'payments' ? PAYMENT : CHILD, { id }));
    },
    run: (tx, text) => (tx as SqlEntityManager).execute(text),
    query: (text) => em.fork().getConnection().execute<Record<string, unknown>[]>(text),
    ways: {
      'a fork in a transaction': (text) => em.fork().transactional((tx) => tx.execute(text)),
    },
    close: () => orm.close(),
  };
}

export const MIKRO_ORM_PG: Layer = {
  name: 'fromMikroOrm() on PostgreSQL',
  dialect: 'postgres',
  open: async (clientUrl, max) =>
    openMikroOrm(
      await PostgresMikroORM.init({
        clientUrl,
        entities: [PAYMENT, CHILD],
        pool: { min: 0, max },
        discovery: { warnWhenNoEntities: false },
      }),
    ),
};

export const MIKRO_ORM_MYSQL: Layer = {
  name: 'fromMikroOrm() on MariaDB',
  dialect: 'mysql',
  open: async (clientUrl, max) =>
    openMikroOrm(
      await MikroORM.init({
        clientUrl,
        entities: [PAYMENT, CHILD],
        pool: { min: 0, max },
      }),
    ),
};

/** Every layer with every driver and database that it has here. */
export const LAYERS: readonly Layer[] = [
  DRIZZLE_PG,
  DRIZZLE_POSTGRES_JS,
  DRIZZLE_MYSQL2,
  KNEX_PG,
  KNEX_MYSQL2,
  KYSELY_PG,
  KYSELY_MYSQL,
  SEQUELIZE_PG,
  SEQUELIZE_MYSQL,
  MIKRO_ORM_PG,
  MIKRO_ORM_MYSQL,
];
