import { wrongOption } from '../../engine/configuration-error.js';
import { messageOf } from '../../engine/driver-errors.js';
import type { TableName } from './dialect.js';
import { isMissing } from './errors.js';
import type { SqlRecords } from './records.js';

/** What is missing when a check fails, and what makes it. */
export interface Expected {
  readonly check: (records: SqlRecords) => Promise<void>;
  readonly option: string;
  readonly accepted: string;
  readonly remedy: string;
}

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
  { check, option, accepted, remedy }: Expected,
): Promise<void> {
  try {
    await check(records);
  } catch (error) {
    if (!isMissing(error)) {
      warn(
        `The table of the idempotency records could not be checked (${messageOf(error)}). Protected calls are refused until the database answers.`,
      );
      return;
    }
    throw wrongOption(
      option,
      schema === undefined ? table : `${schema}.${table}`,
      accepted,
      `The database says: ${messageOf(error)}. ${remedy}`,
    );
  }
}
