import { wrongOption } from '../../engine/configuration-error.js';
import type { Dialect } from '../sql/dialect.js';

/** By TypeORM's `type` of a data source. */
const DIALECTS: Readonly<Record<string, Dialect>> = {
  postgres: 'postgres',
  mysql: 'mysql',
  mariadb: 'mysql',
  sqljs: 'sqlite',
  'better-sqlite3': 'sqlite',
  sqlite: 'sqlite',
};

/** @throws {@link IdempotencyConfigurationError} for a database that the store does not support */
export function dialectOf(type: string): Dialect {
  const dialect = Object.hasOwn(DIALECTS, type) ? DIALECTS[type] : undefined;
  if (dialect !== undefined) return dialect;
  throw wrongOption(
    'dataSource of TypeOrmStore',
    type,
    `a data source of type ${Object.keys(DIALECTS).join(', ')}`,
    'Use another data source, or another store.',
  );
}
