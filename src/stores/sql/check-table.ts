import { randomBytes } from 'node:crypto';
import { wrongOption } from '../../engine/configuration-error.js';
import { messageOf } from '../../engine/driver-errors.js';
import type { StoreTransaction } from '../../engine/transaction.js';
import type { TableName } from './dialect.js';
import { isForbidden, isMissing } from './errors.js';
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
    if (isForbidden(error)) throw forbidden(option, table, error);
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

const PROBE = { owner: 'nestjs-idempotency', fingerprint: '', leaseMs: 60_000, ttlMs: 60_000 };

/**
 * Writes a record when the application boots, and undoes it. A client that may only read would refuse every
 * protected call. Whatever else fails is told by the calls.
 *
 * @throws {@link IdempotencyConfigurationError} if the client may not write
 */
export async function checkWrites(
  begin: () => Promise<StoreTransaction>,
  { table }: TableName,
  { option }: Pick<Expected, 'option'>,
): Promise<void> {
  const claim = { ...PROBE, id: randomBytes(32).toString('hex') };
  let transaction: StoreTransaction | undefined;
  try {
    transaction = await begin();
    await transaction.acquire(claim);
    await transaction.complete({ ...claim, reply: new Uint8Array(1) });
  } catch (error) {
    if (isForbidden(error)) throw forbidden(option, table, error);
  } finally {
    await transaction?.rollback();
  }
}

function forbidden(option: string, table: string, error: unknown): Error {
  return wrongOption(
    option,
    table,
    'a table that the client may read and write',
    `The database says: ${messageOf(error)}. Grant SELECT, INSERT, UPDATE and DELETE on the table to the role, and connect to a primary whose transactions are not read-only.`,
  );
}
