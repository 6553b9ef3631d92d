import type { AcquireRequest, Limited } from '../../engine/store.js';
import { type Dialect, statementsOf, type TableName } from './dialect.js';
import { isPassing, lockTimeoutOf } from './errors.js';
import { roomValues } from './records.js';
import { bytesOfId } from './row.js';
import type { Answer, Session, Statement } from './session.js';

/**
 * Limits how long transactions wait for each other on the same record. The work's own statements
 * wait as usual.
 */
export interface RecordLock {
  /** True if the lock ends with the transaction. Otherwise the connection keeps it until `drop`. */
  readonly endsWithTransaction: boolean;
  /**
   * Called before the record is claimed. `false`: another transaction still has it after the wait.
   * `serializable`: taken, in a transaction that the database may undo because of what others read.
   *
   * @param name a digest that is unique on the server
   */
  take(session: Session, name: string, waitMs: number): Promise<boolean | 'serializable'>;
  /**
   * As {@link take}, where callers are limited and their room is found out with the lock. Absent where
   * the claim itself does that.
   */
  readonly takeCounted?: (
    session: Session,
    name: string,
    waitMs: number,
    request: AcquireRequest,
    table: TableName,
  ) => Promise<TakenLocks>;
  /** True for the claim's error if another transaction has the record. */
  isTaken(error: unknown): boolean;
  /** True for the claim's error if it does not say whether another transaction has the record. */
  mayBeTaken(error: unknown): boolean;
  /** True for a claim that waited too long for the table or in a queue, but not for a record. */
  isHeldUp(error: unknown): boolean;
  /** Called after the record was claimed. The work can be undone back to here. */
  mark(session: Session): Promise<void>;
  /**
   * Called before the work is undone, where the server may have undone the whole transaction by itself: whether it
   * has, with the last statement that was sent.
   */
  readonly isUndone?: (session: Session) => Promise<boolean>;
  /** Called after the end of the transaction, on the same connection. */
  drop(session: Session, names: readonly string[]): Promise<void>;
}

/** What came of {@link RecordLock.takeCounted}. */
export interface TakenLocks {
  /** The names of locks that are ours now; without that of the record, another transaction has it. */
  readonly names: readonly string[];
  readonly limited?: Limited;
}

/** The savepoint to which `undoWork` goes back. */
const SAVEPOINT = 'idempotency_claim';

const GET_LOCK: Statement = {
  name: 'idempotency_get_lock',
  text: 'SELECT GET_LOCK(?, ?) AS taken',
  parameters: ['name', 'wait_s'],
  returnsRows: true,
};

/** The application may have set its own `lock_timeout` for the session. */
const REMEMBER_TIMEOUT =
  "SELECT set_config('idempotency.lock_timeout', current_setting('lock_timeout'), true), " +
  "set_config('lock_timeout',";
const RESTORE_TIMEOUT =
  "SELECT set_config('lock_timeout', current_setting('idempotency.lock_timeout'), true)";

const LEVEL = "current_setting('transaction_isolation') AS level";

/** A statement without values. */
function run(session: Session, text: string): Promise<Answer> {
  const returnsRows = text.startsWith('SELECT');
  return session.query({ name: 'idempotency_transaction', text, parameters: [], returnsRows }, {});
}

async function runAll(session: Session, texts: readonly string[]): Promise<void> {
  if (session.script !== undefined) return session.script(texts);
  for (const text of texts) await run(session, text);
}

/** Undoes what was done since {@link RecordLock.mark}. */
export async function undoToMark(session: Session): Promise<void> {
  await run(session, `ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
}

/** What the last statement has failed with, if it has. Another statement would begin a new list. */
const SHOW_ERRORS: Statement = {
  name: 'idempotency_show_errors',
  text: 'SHOW ERRORS',
  parameters: [],
  returnsRows: true,
};

/**
 * The claim waits for the lock on the row, and `lock_timeout` limits that. It also limits the wait
 * for any other lock, such as that of a growing table.
 */
const postgres: RecordLock = {
  endsWithTransaction: true,
  async take(session, _name, waitMs) {
    // 0 would mean no limit.
    const text = `${REMEMBER_TIMEOUT} '${Math.max(1, Math.ceil(waitMs))}', true), ${LEVEL}`;
    const { rows } = await run(session, text);
    return rows[0]?.level === 'serializable' ? 'serializable' : true;
  },
  isTaken: (error) => lockTimeoutOf(error) === 'row',
  mayBeTaken: (error) => lockTimeoutOf(error) === 'unknown',
  isHeldUp: (error) => lockTimeoutOf(error) !== undefined,
  async mark(session) {
    await runAll(session, [RESTORE_TIMEOUT, `SAVEPOINT ${SAVEPOINT}`]);
  },
  drop: () => Promise.resolve(),
};

/** InnoDB always waits at least a second, so a named lock is taken before that of the row. */
const mysql: RecordLock = {
  endsWithTransaction: false,
  async take(session, name, waitMs) {
    const { rows } = await session.query(GET_LOCK, {
      name: nameOf(name),
      wait_s: secondsOf(waitMs),
    });
    return Number(rows[0]?.taken) === 1;
  },
  isTaken: () => false,
  mayBeTaken: () => false,
  isHeldUp: () => false,
  async takeCounted(session, name, waitMs, request, table) {
    const { bucket = '', id } = request;
    const values = roomValues(request);
    const slots = values.in_flight;
    const slotName = `${bucket.slice(0, 50)}:`;
    const { rows } = await session.query(statementsOf('mysql', table).takeLockLimited, {
      ...values,
      id: bytesOfId(id),
      name: nameOf(name),
      wait_s: secondsOf(waitMs),
      slots,
      slot_name: nameOf(slotName),
    });
    const { taken, is_new: isNew, slot, leaving_ms: leavingMs } = rows[0] ?? {};
    if (Number(taken) !== 1) return { names: [] };
    if (Number(isNew) !== 1) return { names: [name] };
    const names = slot === null ? [name] : [name, `${slotName}${Number(slot)}`];
    if (slots > 0 && slot === null)
      return { names, limited: { outcome: 'limited', limit: 'inFlight', retryAfterMs: 0 } };
    if (leavingMs === null) return { names };
    const retryAfterMs = Number(leavingMs);
    return { names, limited: { outcome: 'limited', limit: 'newKeys', retryAfterMs } };
  },
  async mark(session) {
    await run(session, `SAVEPOINT ${SAVEPOINT}`);
  },
  async isUndone(session) {
    const { rows } = await session.query(SHOW_ERRORS, {});
    return rows.some(({ Code: errno }) => isPassing({ errno: Number(errno) }));
  },
  async drop(session, names) {
    if (names.length === 0) return;
    const releases = names.map(() => 'RELEASE_LOCK(?)').join(', ');
    const parameters = names.map((_, at) => `name_${at}`);
    await session.query(
      {
        name: `idempotency_release_locks_${names.length}`,
        text: `DO ${releases}`,
        parameters,
        returnsRows: false,
      },
      Object.fromEntries(names.map((name, at) => [`name_${at}`, nameOf(name)])),
    );
  },
};

/** There is one connection, so there is one transaction at a time. */
const sqlite: RecordLock = {
  endsWithTransaction: true,
  take: () => Promise.resolve(true),
  isTaken: () => false,
  mayBeTaken: () => false,
  isHeldUp: () => false,
  async mark(session) {
    await run(session, `SAVEPOINT ${SAVEPOINT}`);
  },
  drop: () => Promise.resolve(),
};

export const RECORD_LOCKS: Readonly<Record<Dialect, RecordLock>> = { postgres, mysql, sqlite };

/** The whole seconds that `GET_LOCK` takes. */
function secondsOf(waitMs: number): number {
  return Math.ceil(waitMs / 1000);
}

/**
 * Names of locks have at most 64 characters, which is enough of the digest to tell records apart.
 */
function nameOf(name: string): string {
  return `idem:${name.slice(0, 56)}`;
}
