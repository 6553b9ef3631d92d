import type { QueryRunner } from 'typeorm';
import type { AcquireRequest, Limited } from '../../engine/store.js';
import { type Dialect, statementsOf, type TableName } from './dialect.js';
import { roomValues } from './records.js';
import { bytesOfId } from './row.js';
import { QueryRunnerSession } from './sessions.js';

/**
 * Keeps transactions on the same record from waiting for each other longer than they are to, and
 * lets the work's own statements wait as they always do.
 */
export interface RecordLock {
  /** True when the end of the transaction drops it; else the connection keeps it until `drop`. */
  readonly endsWithTransaction: boolean;
  /**
   * Before the record is claimed. `false`: another transaction has it, and the time is over.
   *
   * @param name a digest that no other record of the server has
   */
  take(runner: QueryRunner, name: string, waitMs: number): Promise<boolean>;
  /**
   * As {@link take}, where callers are limited and their room is found out with the lock. Absent where
   * the claim itself does that.
   */
  readonly takeCounted?: (
    runner: QueryRunner,
    name: string,
    waitMs: number,
    request: AcquireRequest,
    table: TableName,
  ) => Promise<TakenLocks>;
  /** True for the error by which the claim itself says that another transaction has the record. */
  isTaken(error: unknown): boolean;
  /** True for a claim that waited for the table, or in a queue: too long, but not for a record. */
  isHeldUp(error: unknown): boolean;
  /** After the record was claimed. The work may be undone as far as here. */
  mark(runner: QueryRunner): Promise<void>;
  /** After the transaction's end, on the same connection. */
  drop(runner: QueryRunner, names: readonly string[]): Promise<void>;
}

/** What came of {@link RecordLock.takeCounted}. */
export interface TakenLocks {
  /** The names of locks that are ours now; without that of the record, another transaction has it. */
  readonly names: readonly string[];
  readonly limited?: Limited;
}

/** What `undoWork` goes back to. */
export const SAVEPOINT = 'idempotency_claim';

const LOCK_NOT_AVAILABLE = '55P03';

/**
 * The claim waits for the row's lock; a time-out for locks bounds that. It bounds waiting for any
 * other lock as well, such as that of a table that grows. Only for a row, PostgreSQL says where it
 * waited: "while inserting index tuple (0,7)" (`XactLockTableWait`).
 */
const postgres: RecordLock = {
  endsWithTransaction: true,
  async take(runner, _name, waitMs) {
    // 0 would mean without end.
    await runner.query(`SET LOCAL lock_timeout = ${Math.max(1, Math.ceil(waitMs))}`);
    return true;
  },
  isTaken: (error) => isLockTimeout(error) && 'where' in error && Boolean(error.where),
  isHeldUp: (error) => isLockTimeout(error) && !postgres.isTaken(error),
  async mark(runner) {
    await runner.query(`SET LOCAL lock_timeout TO DEFAULT; SAVEPOINT ${SAVEPOINT}`);
  },
  drop: () => Promise.resolve(),
};

/** InnoDB cannot refuse to wait for less than a second, so a named lock stands before the row's. */
const mysql: RecordLock = {
  endsWithTransaction: false,
  async take(runner, name, waitMs) {
    const [row] = (await runner.query('SELECT GET_LOCK(?, ?) AS taken', [
      nameOf(name),
      secondsOf(waitMs),
    ])) as { taken: unknown }[];
    return Number(row?.taken) === 1;
  },
  isTaken: () => false,
  isHeldUp: () => false,
  async takeCounted(runner, name, waitMs, request, table) {
    const { bucket = '', id } = request;
    const values = roomValues(request);
    const slots = values.in_flight;
    const slotName = `${bucket.slice(0, 50)}:`;
    const session = new QueryRunnerSession(runner);
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
  async mark(runner) {
    await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  },
  async drop(runner, names) {
    if (names.length === 0) return;
    const releases = names.map(() => 'RELEASE_LOCK(?)').join(', ');
    await runner.query(`DO ${releases}`, names.map(nameOf));
  },
};

/** There is one connection, and one transaction at a time. */
const sqlite: RecordLock = {
  endsWithTransaction: true,
  take: () => Promise.resolve(true),
  isTaken: () => false,
  isHeldUp: () => false,
  async mark(runner) {
    await runner.query(`SAVEPOINT ${SAVEPOINT}`);
  },
  drop: () => Promise.resolve(),
};

export const RECORD_LOCKS: Readonly<Record<Dialect, RecordLock>> = { postgres, mysql, sqlite };

/** What `GET_LOCK` takes. */
function secondsOf(waitMs: number): number {
  return Math.ceil(waitMs / 1000);
}

/** Names of locks have 64 characters at most: enough of the digest to tell records apart. */
function nameOf(name: string): string {
  return `idem:${name.slice(0, 56)}`;
}

function isLockTimeout(error: unknown): error is object {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    error.code === LOCK_NOT_AVAILABLE
  );
}
