import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer, Session, Statement, Values } from './session.js';

/** What a database answers when statements got into each other's way and one had to give in. */
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

const MOST_RETRIES = 6;
/** Nobody waits longer for an answer. In milliseconds. */
const RETRY_WITHIN_MS = 2_000;
const FIRST_PAUSE_MS = 4;

/** Repeats a statement that lost against others, a few times. Not inside of a transaction. */
export class RetryingSession implements Session {
  constructor(private readonly session: Session) {}

  async query(statement: Statement, values: Values): Promise<Answer> {
    const giveUpAt = performance.now() + RETRY_WITHIN_MS;
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.session.query(statement, values);
      } catch (error) {
        if (retry === MOST_RETRIES || performance.now() > giveUpAt || !isPassing(error))
          throw error;
      }
      await sleep(Math.random() * FIRST_PAUSE_MS * 2 ** retry);
    }
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.session.onOneConnection((session) => work(new RetryingSession(session)));
  }
}

/** True for an error that the same statement may not meet again. */
export function isPassing(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, errno, message, driverError } = error as {
    code?: unknown;
    errno?: unknown;
    message?: unknown;
    driverError?: unknown;
  };
  return (
    PASSING.includes(code as string) ||
    PASSING.includes(errno as number) ||
    (typeof message === 'string' && SQLITE_LOCKED.test(message)) ||
    isPassing(driverError)
  );
}
