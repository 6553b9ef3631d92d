import { setTimeout as sleep } from 'node:timers/promises';
import { isCrowded, isPassing } from './errors.js';

/** A value for a parameter. Lists are only for statements that expect them. */
type Value = string | number | Uint8Array | null | readonly Uint8Array[];

export type Values = Readonly<Record<string, Value>>;

/** One SQL statement of one dialect. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** The parameters of the placeholders, in order. */
  readonly parameters: readonly string[];
  /** True if it returns rows, as SELECT and RETURNING do. */
  readonly returnsRows: boolean;
}

export type Row = Readonly<Record<string, unknown>>;

export interface Answer {
  readonly rows: readonly Row[];
  /** How many rows were changed; on MySQL, only those that are different now. */
  readonly changed: number;
  /** MySQL's `LAST_INSERT_ID(…)` of this statement; 0 elsewhere. */
  readonly insertId: number;
}

/** Where statements run: on any connection of a pool, or on that of a transaction. */
export interface Session {
  query(statement: Statement, values: Values): Promise<Answer>;
  /** Runs several statements on the same connection, for state that the server ties to it. */
  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T>;
  /** Runs several statements without values in one round trip; absent where that is not possible. */
  script?(texts: readonly string[]): Promise<void>;
}

/** The values in the order of the placeholders. */
export function bound({ name, parameters }: Statement, values: Values): unknown[] {
  return parameters.map((parameter) => {
    const value = values[parameter];
    if (value === undefined) throw new Error(`${name}: no value for ${parameter}`);
    // All drivers accept Buffers, but only some accept Uint8Arrays.
    return value instanceof Uint8Array ? asBuffer(value) : value;
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

const MOST_RETRIES = 6;
/** No caller waits longer for an answer. In milliseconds. */
const RETRY_WITHIN_MS = 2_000;
const FIRST_PAUSE_MS = 4;

/** Repeats a statement that conflicted with others, a few times. Not within a transaction. */
export class RetryingSession implements Session {
  constructor(private readonly session: Session) {}

  async query(statement: Statement, values: Values): Promise<Answer> {
    const giveUpAt = performance.now() + RETRY_WITHIN_MS;
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.session.query(statement, values);
      } catch (error) {
        const mayPass = isPassing(error) || isCrowded(error);
        if (retry === MOST_RETRIES || performance.now() > giveUpAt || !mayPass) throw error;
      }
      await sleep(Math.random() * FIRST_PAUSE_MS * 2 ** retry);
    }
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.session.onOneConnection((session) => work(new RetryingSession(session)));
  }
}
