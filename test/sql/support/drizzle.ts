import { sql } from 'drizzle-orm';
import { drizzle as mysqlDrizzle } from 'drizzle-orm/mysql2';
import { drizzle as pgDrizzle } from 'drizzle-orm/node-postgres';
import { drizzle as postgresJsDrizzle } from 'drizzle-orm/postgres-js';
import { createPool } from 'mysql2/promise';
import { fromDrizzle } from 'nestjs-idempotency/sql';
import { Pool } from 'pg';
import postgres from 'postgres';
import type { Layer } from './layer.js';

export const DRIZZLE_PG: Layer = {
  name: 'fromDrizzle() over node-postgres',
  dialect: 'postgres',
  open(connectionString, max) {
    const db = pgDrizzle(new Pool({ connectionString, max }));
    const executor = fromDrizzle(db);
    return {
      executor,
      insert: (tx, table, id) =>
        (tx as Parameters<Parameters<typeof db.transaction>[0]>[0]).execute(
          sql`INSERT INTO ${sql.identifier(table)} VALUES (${id})`,
        ),
      run: (tx, text) => (tx as Parameters<Parameters<typeof db.transaction>[0]>[0]).execute(text),
      query: async (text) => (await db.execute(text)).rows,
      ways: { 'a transaction': (text) => db.transaction((tx) => tx.execute(text)) },
      close: () => db.$client.end(),
    };
  },
};

export const DRIZZLE_POSTGRES_JS: Layer = {
  name: 'fromDrizzle() over postgres.js',
  dialect: 'postgres',
  open(url, max) {
    const db = postgresJsDrizzle(
      postgres(url, { max, onnotice: () => undefined, transform: postgres.camel }),
    );
    return {
      executor: fromDrizzle(db),
      insert: (tx, table, id) =>
        (tx as Parameters<Parameters<typeof db.transaction>[0]>[0]).execute(
          sql`INSERT INTO ${sql.identifier(table)} VALUES (${id})`,
        ),
      run: (tx, text) => (tx as Parameters<Parameters<typeof db.transaction>[0]>[0]).execute(text),
      query: async (text) => [...(await db.execute(text))],
      ways: { 'a transaction': (text) => db.transaction((tx) => tx.execute(text)) },
      close: () => db.$client.end(),
    };
  },
};

export const DRIZZLE_MYSQL2: Layer = {
  name: 'fromDrizzle() over mysql2',
  dialect: 'mysql',
  open(uri, connectionLimit) {
    const pool = createPool({ uri, connectionLimit });
    const db = mysqlDrizzle(pool);
    return {
      executor: fromDrizzle(db),
      insert: (tx, table, id) =>
        (tx as Parameters<Parameters<typeof db.transaction>[0]>[0]).execute(
          sql`INSERT INTO ${sql.identifier(table)} VALUES (${id})`,
        ),
      run: (tx, text) => (tx as Parameters<Parameters<typeof db.transaction>[0]>[0]).execute(text),
      query: async (text) => (await pool.query(text))[0] as Record<string, unknown>[],
      close: () => pool.end(),
    };
  },
};
