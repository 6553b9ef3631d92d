import { DataSource } from 'typeorm';
import { mariadbUrl, startMariadb } from '../../support/servers/mariadb.js';
import { postgresUrl, startPostgres } from '../../support/servers/postgres.js';
import type { PrivateServer } from '../../support/servers/private-server.js';

/** A server that a shop takes as `DATABASE_URL`. */
export interface DatabaseKind {
  readonly name: string;
  readonly type: 'postgres' | 'mysql';
  start(): Promise<PrivateServer>;
  url(port: number): string;
  /** Has everybody else wait at these tables until the same connection unlocks. */
  lock(tables: readonly string[]): readonly string[];
  readonly unlock: string;
}

export const DATABASE_KINDS: readonly DatabaseKind[] = [
  {
    name: 'PostgreSQL',
    type: 'postgres',
    start: startPostgres,
    url: postgresUrl,
    lock: (tables) => ['BEGIN', `LOCK TABLE ${tables.join(', ')}`],
    unlock: 'ROLLBACK',
  },
  {
    name: 'MariaDB',
    type: 'mysql',
    start: startMariadb,
    url: mariadbUrl,
    lock: (tables) => [`LOCK TABLES ${tables.map((table) => `${table} WRITE`).join(', ')}`],
    unlock: 'UNLOCK TABLES',
  },
];

/** The URL of another database on the same server, which is there from now on. */
export async function createDatabase(
  { type, url }: DatabaseKind,
  port: number,
  name: string,
): Promise<string> {
  const dataSource = await new DataSource({ type, url: url(port) }).initialize();
  try {
    await dataSource.query(`CREATE DATABASE ${name}`);
  } finally {
    await dataSource.destroy();
  }
  return url(port).replace(/\w+$/, name);
}

/** Runs what is given while nobody gets to the rows of these tables. */
export async function whileLocked<T>(
  { type, lock, unlock }: DatabaseKind,
  url: string,
  tables: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const dataSource = await new DataSource({ type, url }).initialize();
  const session = dataSource.createQueryRunner();
  try {
    for (const statement of lock(tables)) await session.query(statement);
    const result = await work();
    await session.query(unlock);
    return result;
  } finally {
    await session.release();
    await dataSource.destroy();
  }
}
