import { wrongOption } from '../../engine/configuration-error.js';
import type { TableName } from './dialect.js';
import type { SqlRecords } from './records.js';

/** The databases' error codes for a missing table, schema or column. */
const MISSING: readonly (string | number)[] = ['42P01', '3F000', '42703', 1146, 1049, 1054];
const SQLITE_MISSING = /no such (table|column)|unknown database/;

/** What is missing when a check fails, and what makes it. */
export interface Expected {
  readonly check: (records: SqlRecords) => Promise<void>;
  readonly option: string;
  readonly accepted: string;
  readonly migration: string;
}

/** The table of the records. */
export const TABLE: Expected = {
  check: (records) => records.checkTable(),
  option: 'table of TypeOrmStore',
  accepted: 'a table that the migration of the records has created',
  migration: 'CreateIdempotencyRecords1763700000000',
};

/** What the limits of callers need beside. */
export const LIMITS: Expected = {
  check: (records) => records.checkLimits(),
  option: 'limits, with the table of TypeOrmStore',
  accepted: 'a table that the migration for limits has added its columns to',
  migration: 'AddIdempotencyLimits1764500000000',
};

/**
 * Checks once, when the application boots, whether the table exists as the migration creates it. A
 * database that cannot be reached is not a configuration error: calls get 503 until it answers.
 *
 * @throws {@link IdempotencyConfigurationError} if the table or one of its columns is missing
 */
export async function checkTable(
  records: SqlRecords,
  { table, schema }: TableName,
  warn: (warning: string) => void,
  { check, option, accepted, migration }: Expected = TABLE,
): Promise<void> {
  try {
    await check(records);
  } catch (error) {
    if (!isMissing(error)) {
      warn(
        `The table of the idempotency records could not be checked (${String(error)}). Protected calls are refused until the database answers.`,
      );
      return;
    }
    throw wrongOption(
      option,
      schema === undefined ? table : `${schema}.${table}`,
      accepted,
      `The database says: ${messageOf(error)}. Add ${migration} to the ` +
        'migrations of the data source and run them, such as with `migrationsRun: true` or ' +
        '`dataSource.runMigrations()`.',
    );
  }
}

function isMissing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, errno, message } = error as { code?: unknown; errno?: unknown; message?: unknown };
  return (
    MISSING.includes(code as string) ||
    MISSING.includes(errno as number) ||
    (typeof message === 'string' && SQLITE_MISSING.test(message))
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
