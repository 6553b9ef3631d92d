import { wrongOption } from '../../engine/configuration-error.js';
import type { TableName } from './dialect.js';
import type { SqlRecords } from './records.js';

/** What the databases answer when a table, a schema or a column is not there. */
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
  accepted: "a table of the data source's database that the migration of the records has made",
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
 * Looks once, when the application boots, whether the table is there as the migration makes it. A
 * database that cannot be reached is no wrong configuration: calls are answered 503 until it is
 * there.
 *
 * @throws {@link IdempotencyConfigurationError} when the table or one of its columns is missing
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
        `The database of the idempotency records could not be asked for its table (${String(error)}). Protected calls are refused until it answers.`,
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
