import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Pool } from 'pg';
import { DataSource } from 'typeorm';
import type { Minimum } from './minimum.js';
import type { Records } from './records.js';

const CONNECTIONS = 10;

export async function postgresRecords(url: string): Promise<Records> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    poolSize: CONNECTIONS,
    migrations: [CreateIdempotencyRecords1763700000000],
  });
  const pool = new Pool({ connectionString: url, max: CONNECTIONS });
  await dataSource.initialize();
  return {
    store: new TypeOrmStore({ dataSource }),
    minimum: new PostgresMinimum(pool),
    close: async () => {
      await dataSource.destroy();
      await pool.end();
    },
  };
}

/** Makes the tables, once for all servers that share the database. */
export async function preparePostgres(url: string): Promise<void> {
  const dataSource = new DataSource({
    type: 'postgres',
    url,
    migrations: [CreateIdempotencyRecords1763700000000],
  });
  await dataSource.initialize();
  await dataSource.runMigrations();
  await dataSource.query('CREATE TABLE minimum (key text PRIMARY KEY, value json)');
  await dataSource.destroy();
}

class PostgresMinimum implements Minimum {
  constructor(private readonly pool: Pool) {}

  async claim(key: string): Promise<boolean> {
    const { rowCount } = await this.pool.query({
      name: 'claim',
      text: 'INSERT INTO minimum (key) VALUES ($1) ON CONFLICT DO NOTHING',
      values: [key],
    });
    return rowCount === 1;
  }

  async find(key: string): Promise<unknown> {
    const { rows } = await this.pool.query<{ value: unknown }>({
      name: 'find',
      text: 'SELECT value FROM minimum WHERE key = $1',
      values: [key],
    });
    return rows[0]?.value ?? undefined;
  }

  async keep(key: string, value: unknown): Promise<void> {
    await this.pool.query({
      name: 'keep',
      text: 'UPDATE minimum SET value = $2 WHERE key = $1',
      values: [key, JSON.stringify(value)],
    });
  }
}
