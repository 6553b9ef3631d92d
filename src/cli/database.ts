import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { SqlDialect, SqlExecutor } from '../stores/sql/executor.js';
import { fromMysql2, type Mysql2Pool } from '../stores/sql/from-mysql2.js';
import { fromPg, type PgPool } from '../stores/sql/from-pg.js';
import { type Given, type Surroundings, textOf, UsageError } from './command.js';

/** What every command for a database takes. */
export const DATABASE_OPTIONS = {
  url: { type: 'string' },
  table: { type: 'string' },
  schema: { type: 'string' },
} as const;

export const DATABASE_USAGE = [
  '--url <url>       the database, postgres://… or mysql://…; else DATABASE_URL of the environment',
  "--table <name>    the table of the records; else 'idempotency_records'",
  '--schema <name>   its schema (MySQL, MariaDB: its database); else the current one',
];

/** A database, as long as the command runs. */
export interface Database {
  readonly executor: SqlExecutor;
  readonly dialect: SqlDialect;
  close(): Promise<void>;
}

interface Closing {
  end(): Promise<void>;
}

/** By the scheme of the URL. */
const DIALECTS: Readonly<Record<string, SqlDialect>> = {
  'postgres:': 'postgres',
  'postgresql:': 'postgres',
  'mysql:': 'mysql',
  'mariadb:': 'mysql',
};

const CONNECT_WITHIN_MS = 10_000;

/**
 * Connects with the driver that the application has: `pg` or `mysql2`.
 *
 * @throws {@link UsageError} for a missing or unknown URL, or a missing driver
 */
export function openDatabase(given: Given, { environment, folder }: Surroundings): Database {
  const url = textOf(given, 'url') ?? environment.DATABASE_URL;
  if (url === undefined || url === '')
    throw new UsageError('Which database? Pass --url, or set DATABASE_URL.');
  const dialect = dialectOf(url);
  const load = createRequire(join(folder, 'package.json'));
  if (dialect === 'postgres') {
    const { Pool } = driver<{
      Pool: new (options: object) => PgPool & Closing;
    }>(load, 'pg');
    const pool = new Pool({
      connectionString: url,
      max: 2,
      connectionTimeoutMillis: CONNECT_WITHIN_MS,
    });
    return { executor: fromPg(pool), dialect, close: () => pool.end() };
  }
  const mysql2 = driver<{ createPool(options: object): Mysql2Pool & Closing }>(
    load,
    'mysql2/promise',
  );
  const uri = url.replace(/^mariadb:/, 'mysql:');
  const pool = mysql2.createPool({ uri, connectionLimit: 2, connectTimeout: CONNECT_WITHIN_MS });
  return { executor: fromMysql2(pool), dialect, close: () => pool.end() };
}

/** @throws {@link UsageError} without the URL in it, because it may contain a password */
function dialectOf(url: string): SqlDialect {
  const scheme = /^[a-z0-9+.-]+:/i.exec(url)?.[0].toLowerCase() ?? '';
  const dialect = Object.hasOwn(DIALECTS, scheme) ? DIALECTS[scheme] : undefined;
  if (dialect !== undefined) return dialect;
  throw new UsageError(
    'The URL of the database must begin with postgres://, mysql:// or mariadb://. For SQLite, run ' +
      'what `nestjs-idempotency sql --dialect sqlite` prints.',
  );
}

function driver<T>(load: NodeJS.Require, name: string): T {
  try {
    return load(name) as T;
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'MODULE_NOT_FOUND') throw error;
    throw new UsageError(
      `The application in this folder has no ${name.split('/')[0]}. Run this where it is ` +
        `installed, or run what \`nestjs-idempotency sql\` prints.`,
    );
  }
}
