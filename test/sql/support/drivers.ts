import type { Pool as CallbackPool } from 'mysql2';
import { createPool } from 'mysql2/promise';
import { fromMysql2, fromPg } from 'nestjs-idempotency/sql';
import { Pool, type PoolClient } from 'pg';
import type { PoolConnection } from 'mysql2/promise';
import type { Layer } from './layer.js';

export const PG: Layer = {
  name: 'fromPg()',
  dialect: 'postgres',
  open(url, max) {
    const pool = new Pool({ connectionString: url, max });
    return {
      executor: fromPg(pool),
      insert: (tx, table, id) => (tx as PoolClient).query(`INSERT INTO ${table} VALUES ($1)`, [id]),
      run: (tx, text) => (tx as PoolClient).query(text),
      query: async (text) => (await pool.query<Record<string, unknown>>(text)).rows,
      ways: {
        'a callback': (text) =>
          new Promise<void>((resolve, reject) => {
            pool.query(text, (error) => (error ? reject(error) : resolve()));
          }),
        'a client': async (text) => {
          const client = await pool.connect();
          await client.query(text).finally(() => client.release());
        },
        'a client for a callback': (text) =>
          new Promise<void>((resolve, reject) => {
            pool.connect((error, client, release) => {
              if (error) return reject(error);
              client!.query(text, (failure) => {
                release();
                if (failure) reject(failure);
                else resolve();
              });
            });
          }),
      },
      close: () => pool.end(),
    };
  },
};

export const MYSQL2: Layer = {
  name: 'fromMysql2()',
  dialect: 'mysql',
  open(uri, connectionLimit) {
    const pool = createPool({ uri, connectionLimit });
    return {
      executor: fromMysql2(pool),
      insert: (tx, table, id) =>
        (tx as PoolConnection).query(`INSERT INTO ${table} VALUES (?)`, [id]),
      run: (tx, text) => (tx as PoolConnection).query(text),
      query: async (text) => (await pool.query(text))[0] as Record<string, unknown>[],
      ways: {
        execute: (text) => pool.execute(text),
        'a connection': async (text) => {
          const connection = await pool.getConnection();
          await connection.query(text).finally(() => connection.release());
        },
        callbacks: (text) =>
          new Promise<void>((resolve, reject) => {
            (pool as unknown as { pool: CallbackPool }).pool.query(text, (error) =>
              error ? reject(error) : resolve(),
            );
          }),
      },
      close: () => pool.end(),
    };
  },
};
