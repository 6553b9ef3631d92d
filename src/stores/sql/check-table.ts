import { randomBytes } from 'node:crypto';
import { wrongOption } from '../../engine/configuration-error.js';
import { messageOf } from '../../engine/driver-errors.js';
import type { StoreTransaction } from '../../engine/transaction.js';
import type { TableName } from './dialect.js';
import { commitFailureOf, isForbidden, isMissing, isTimedOut } from './errors.js';
import { ChangingRecordError, type SqlRecords } from './records.js';

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
    if (isTimedOut(error)) throw hasNoTime(option, table, error);
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

const NOT_KEPT = 'What is read from the table is not what was written to it.';

/** More than the smallest type for bytes takes on MySQL. */
const REPLY = new Uint8Array(2 ** 16).fill(1);

/**
 * Writes a record when the application boots, reads it, and undoes it. A client that may only read would refuse every
 * protected call, and a table that keeps something else than it is given would let operations run twice. A
 * database that does not answer is told by the calls.
 *
 * @throws {@link IdempotencyConfigurationError} if the client may not write, or if the table does not keep records
 */
export async function checkWrites(
  begin: () => Promise<StoreTransaction>,
  { table }: TableName,
  { option, accepted, remedy }: Pick<Expected, 'option' | 'accepted' | 'remedy'>,
): Promise<void> {
  const claim = { ...PROBE, id: randomBytes(32).toString('hex') };
  let transaction: StoreTransaction | undefined;
  try {
    transaction = await begin();
    const first = await transaction.acquire(claim);
    const isKept = await transaction.complete({ ...claim, reply: REPLY });
    const again = await transaction.acquire({ ...claim, owner: `${claim.owner}, again` });
    const isRead =
      again.outcome === 'completed' && REPLY.every((byte, at) => byte === again.reply[at]);
    if (first.outcome !== 'acquired' || !isKept || !isRead) throw new ChangingRecordError(NOT_KEPT);
  } catch (error) {
    if (isForbidden(error)) throw forbidden(option, table, error);
    if (isTimedOut(error)) throw hasNoTime(option, table, error);
    const says = `The database says: ${messageOf(error)}.`;
    if (error instanceof ChangingRecordError)
      throw wrongOption(option, table, accepted, `${NOT_KEPT} ${remedy}`);
    if (commitFailureOf(error) === 'work')
      throw wrongOption(option, table, accepted, `${says} ${remedy}`);
  } finally {
    await transaction?.rollback();
  }
}

export function forbidden(option: string, table: string, error: unknown): Error {
  return wrongOption(
    option,
    table,
    'a table that the client may read and write',
    `The database says: ${messageOf(error)}. Grant SELECT, INSERT, UPDATE and DELETE on the table to the role, and connect to a primary whose transactions are not read-only.`,
  );
}

function hasNoTime(option: string, table: string, error: unknown): Error {
  return wrongOption(
    option,
    table,
    'a table whose statements have time to run',
    `The database says: ${messageOf(error)}. Raise statement_timeout (on MariaDB max_statement_time) for the role: it should be longer than storeTimeout.`,
  );
}
