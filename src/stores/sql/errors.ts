import type { CommitFailure } from '../../engine/transaction.js';

/** The parts of drivers' errors that say what happened. */
interface ErrorFacts {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly sqlState?: unknown;
  readonly message?: unknown;
  readonly where?: unknown;
}

/** Error codes for statements that conflicted with others and may be repeated. */
const PASSING: readonly (string | number)[] = [
  // PostgreSQL: serialization_failure, deadlock_detected
  '40001',
  '40P01',
  // MySQL and MariaDB: lock wait timeout, deadlock, record changed since it was read
  1205,
  1213,
  1020,
  'SQLITE_BUSY',
  'SQLITE_BUSY_SNAPSHOT',
  'SQLITE_LOCKED',
];
const SQLITE_LOCKED = /database (table )?is locked/;

/** Error codes for a database that has no room, or no room for such a large statement. */
const FULL: readonly (string | number)[] = [
  // PostgreSQL: disk_full, out_of_memory, program_limit_exceeded
  '53100',
  '53200',
  '54000',
  // MySQL and MariaDB: disk full, out of memory (three), table full, max_allowed_packet
  1021,
  1037,
  1038,
  1041,
  1114,
  1153,
  'SQLITE_FULL',
  'SQLITE_TOOBIG',
];
const SQLITE_FULL = /database or disk is full|string or blob too big/;

/** Error codes for a server that has as many connections as it may have. */
const CROWDED: readonly (string | number)[] = [
  // PostgreSQL: too_many_connections
  '53300',
  // MySQL and MariaDB: for the server, for the user
  1040,
  1203,
];

/** Error codes for a missing table, schema or column. */
const MISSING: readonly (string | number)[] = ['42P01', '3F000', '42703', 1146, 1049, 1054];
const SQLITE_MISSING = /no such (table|column)|unknown database/;

/** Error codes for a role, a server or a session that may not write, or not even read. */
const FORBIDDEN: readonly (string | number)[] = [
  // PostgreSQL: insufficient_privilege, read_only_sql_transaction (a standby, too)
  '42501',
  '25006',
  // MySQL and MariaDB: for the table, for a column; --read-only, read-only transaction, read-only mode
  1142,
  1143,
  1290,
  1792,
  1836,
  'SQLITE_READONLY',
];
const SQLITE_READONLY = /readonly database/;

/** Error codes for a statement that the server has ended, because it took longer than statements may. */
const TIMED_OUT: readonly (string | number)[] = ['57014', 1969, 3024];

/** Matches no text. */
const NOTHING = /(?!)/;

/** Error codes for a savepoint that is not there, because the transaction has ended. */
const NO_SAVEPOINT: readonly (string | number)[] = ['25P01', '3B001', 1305];
const SQLITE_NO_SAVEPOINT = /no such savepoint/;

const LOCK_NOT_AVAILABLE = '55P03';

/** True for an error that may not happen again if the statement is repeated. */
export function isPassing(error: unknown): boolean {
  return isOneOf(PASSING, SQLITE_LOCKED, error);
}

/** SQLSTATE; always with a digit, unlike the names of errors of the network such as EPIPE. */
const STATE = /^(?=.*\d)[0-9A-Z]{5}$/;

/**
 * Classes of SQLSTATE that do not say what became of the transaction: connection, rollback by the
 * server, resources, operator intervention, system, internal.
 */
const NOT_OF_WORK: readonly string[] = ['08', '40', '53', '57', '58', 'XX', 'HY'];
const SQLITE_CONSTRAINT = /constraint failed/i;

/** What an error says that a database gave at the commit, or to a statement before it. */
export function commitFailureOf(error: unknown): CommitFailure {
  if (isPassing(error)) return 'conflict';
  for (const { code, sqlState, message } of causesOf(error)) {
    const state = [sqlState, code].find((one) => typeof one === 'string' && STATE.test(one));
    if (state !== undefined)
      return NOT_OF_WORK.includes((state as string).slice(0, 2)) ? 'unknown' : 'work';
    const isConstraint = typeof message === 'string' && SQLITE_CONSTRAINT.test(message);
    if (isConstraint || String(code).startsWith('SQLITE_CONSTRAINT')) return 'work';
  }
  return 'unknown';
}

/** True for a server that had no connection left. Nothing was done, and one may be free soon. */
export function isCrowded(error: unknown): boolean {
  return isOneOf(CROWDED, NOTHING, error);
}

/** True for an error that may not happen with a smaller record. */
export function isFull(error: unknown): boolean {
  return isOneOf(FULL, SQLITE_FULL, error);
}

/** True if this client may not do what a store has to do. */
export function isForbidden(error: unknown): boolean {
  return isOneOf(FORBIDDEN, SQLITE_READONLY, error);
}

/** True if statements have no time, as `statement_timeout` says. */
export function isTimedOut(error: unknown): boolean {
  return isOneOf(TIMED_OUT, NOTHING, error);
}

/** True for the error of a savepoint that went with its transaction. */
export function isWithoutSavepoint(error: unknown): boolean {
  return isOneOf(NO_SAVEPOINT, SQLITE_NO_SAVEPOINT, error);
}

/** True if the table or one of its columns is missing. */
export function isMissing(error: unknown): boolean {
  return isOneOf(MISSING, SQLITE_MISSING, error);
}

/**
 * What PostgreSQL's `lock_timeout` has ended the wait for. Only if that was a row, the server says
 * where: "while inserting index tuple (0,7)" (`XactLockTableWait`). Some data layers lose that.
 */
export function lockTimeoutOf(error: unknown): 'row' | 'other' | 'unknown' | undefined {
  const facts = causesOf(error).find(({ code }) => code === LOCK_NOT_AVAILABLE);
  if (facts === undefined) return undefined;
  if (facts.where) return 'row';
  // The server always says its routine, so that an error with it is complete.
  return 'where' in facts || 'routine' in facts ? 'other' : 'unknown';
}

function isOneOf(codes: readonly (string | number)[], text: RegExp, error: unknown): boolean {
  return causesOf(error).some(
    ({ code, errno, message }) =>
      codes.includes(code as string) ||
      codes.includes(errno as number) ||
      (typeof message === 'string' && text.test(message)),
  );
}

/** Data layers wrap errors, some of them twice. */
const DEEPEST = 4;

/** The error and what it wraps. */
function causesOf(error: unknown): ErrorFacts[] {
  const causes: ErrorFacts[] = [];
  let within = error;
  while (typeof within === 'object' && within !== null && causes.length < DEEPEST) {
    causes.push(within);
    const { driverError, original, cause } = within as Record<string, unknown>;
    within = driverError ?? original ?? cause;
  }
  return causes;
}

/** SQLSTATE, or the name that drivers give a code of SQLite. */
const CODE = /^([0-9A-Z]{5}|SQLITE_\w+)$/;

/** The driver's own error within that of a data layer; else the error itself. */
export function driverErrorOf(error: unknown): unknown {
  const own = causesOf(error).find(
    ({ code, errno }) => typeof errno === 'number' || (typeof code === 'string' && CODE.test(code)),
  );
  return own ?? error;
}
