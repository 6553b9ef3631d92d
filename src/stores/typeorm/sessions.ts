import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryResult, QueryRunner } from 'typeorm';

/** A value for a parameter. Lists are only for statements that expect them. */
type Value = string | number | Uint8Array | null | readonly Uint8Array[];

export type Values = Readonly<Record<string, Value>>;

/** One SQL statement of one dialect. */
export interface Statement {
  readonly name: string;
  readonly text: string;
  /** The parameters of the placeholders, in order. */
  readonly parameters: readonly string[];
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
}

/** The values in the order of the placeholders. */
function bound({ name, parameters }: Statement, values: Values): unknown[] {
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

interface NamedQuery {
  readonly name: string;
  readonly text: string;
  readonly values: readonly unknown[];
}

/** The part of a pool of `pg` that the store uses. */
interface Pool {
  query(
    query: NamedQuery,
  ): Promise<{ readonly rows: readonly Row[]; readonly rowCount: number | null }>;
}

/**
 * Named statements, which every connection of the pool parses and plans once. TypeORM cannot name
 * statements, so they go directly to its pool and bypass its logger.
 */
export class PreparedSession implements Session {
  private readonly unprepared: Session;

  constructor(private readonly dataSource: DataSource) {
    this.unprepared = new DataSourceSession(dataSource);
  }

  async query(statement: Statement, values: Values): Promise<Answer> {
    const pool = poolOf(this.dataSource);
    if (pool === undefined) return this.unprepared.query(statement, values);
    const { name, text } = statement;
    const { rows, rowCount } = await pool.query({ name, text, values: bound(statement, values) });
    return { rows, changed: rowCount ?? 0, insertId: 0 };
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.unprepared.onOneConnection(work);
  }
}

/** Read each time, because the pool is a new one after the data source was reopened. */
function poolOf(dataSource: DataSource): Pool | undefined {
  const { master } = dataSource.driver as { master?: Partial<Pool> };
  return typeof master?.query === 'function' ? (master as Pool) : undefined;
}

/** One connection, with the transaction that it has begun, if any. */
export class QueryRunnerSession implements Session {
  constructor(private readonly runner: QueryRunner) {}

  async query(statement: Statement, values: Values): Promise<Answer> {
    return answerOf(await this.runner.query(statement.text, bound(statement, values), true));
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return work(this);
  }
}

/** Any connection of the data source's pool, for the duration of a statement. */
export class DataSourceSession implements Session {
  constructor(private readonly dataSource: DataSource) {}

  query(statement: Statement, values: Values): Promise<Answer> {
    return this.onOneConnection((session) => session.query(statement, values));
  }

  async onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const runner = this.dataSource.createQueryRunner('master');
    try {
      return await work(new QueryRunnerSession(runner));
    } finally {
      await runner.release();
    }
  }
}

function answerOf({ records, affected, raw }: QueryResult<Row>): Answer {
  const rows = records ?? [];
  const insertId = Number((raw as { insertId?: unknown } | undefined)?.insertId ?? 0);
  // SQLite's drivers count changes differently, so their statements return the rows that they
  // change.
  return { rows, changed: Math.max(rows.length, affected ?? 0), insertId };
}

/** Shorter than the time that callers wait for a store. In milliseconds. */
const PATIENCE_MS = 1_500;
const LOOK_AGAIN_MS = 2;

/**
 * The only connection, which the application uses too. During a transaction of the application, a
 * statement of the store would become part of it and could be undone with it, so the store waits
 * for its end. Code in the transaction that waits for the store therefore gets an error.
 */
export class SqliteSession implements Session {
  private readonly connection: Session;

  constructor(private readonly dataSource: DataSource) {
    this.connection = new DataSourceSession(dataSource);
  }

  async query(statement: Statement, values: Values): Promise<Answer> {
    if (this.isInTransaction()) await this.untilNoTransaction();
    return this.connection.query(statement, values);
  }

  /** There is only one connection. */
  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return work(this);
  }

  /** TypeORM's SQLite drivers have one query runner for everything. */
  private isInTransaction(): boolean {
    const { queryRunner } = this.dataSource.driver as {
      queryRunner?: { readonly isTransactionActive: boolean };
    };
    return queryRunner?.isTransactionActive === true;
  }

  private async untilNoTransaction(): Promise<void> {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (this.isInTransaction()) {
      if (performance.now() > giveUpAt) {
        throw new Error(
          'A transaction of the application has kept the only SQLite connection from the ' +
            `idempotency store for ${PATIENCE_MS} ms.`,
        );
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }
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
const SQLITE_FULL = /database or disk is full|string or blob too big/;

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

/** True for an error that may not happen again if the statement is repeated. */
export function isPassing(error: unknown): boolean {
  return isOneOf(PASSING, SQLITE_LOCKED, error);
}

/** True for an error that may not happen with a smaller record. */
export function isFull(error: unknown): boolean {
  return isOneOf(FULL, SQLITE_FULL, error);
}

function isOneOf(codes: readonly (string | number)[], text: RegExp, error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, errno, message, driverError } = error as {
    code?: unknown;
    errno?: unknown;
    message?: unknown;
    driverError?: unknown;
  };
  return (
    codes.includes(code as string) ||
    codes.includes(errno as number) ||
    (typeof message === 'string' && text.test(message)) ||
    isOneOf(codes, text, driverError)
  );
}
