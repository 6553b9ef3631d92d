import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, QueryResult, QueryRunner } from 'typeorm';
import { withoutContent } from '../../engine/driver-errors.js';
import type { TableName } from '../sql/dialect.js';
import { recordsOn } from '../sql/open-records.js';
import type { SqlRecords } from '../sql/records.js';
import {
  type Answer,
  bound,
  RetryingSession,
  type Row,
  type Session,
  type Statement,
  type Values,
} from '../sql/session.js';
import { dialectOf } from './dialect.js';
import { checkReachable, ownRunner } from './second-connections.js';

interface OpenOptions {
  /** Only for PostgreSQL. */
  readonly isPrepared: boolean;
}

/** The records in a table of the data source. Each statement is its own transaction. */
export function openRecords(
  dataSource: DataSource,
  table: TableName,
  { isPrepared }: OpenOptions,
): SqlRecords {
  const session = new RetryingSession(sessionOf(dataSource, isPrepared));
  return recordsOn(session, dialectOf(dataSource.options.type), table);
}

function sessionOf(dataSource: DataSource, isPrepared: boolean): Session {
  switch (dialectOf(dataSource.options.type)) {
    case 'postgres':
      return isPrepared ? new PreparedSession(dataSource) : new DataSourceSession(dataSource);
    case 'mysql':
      return new DataSourceSession(dataSource);
    case 'sqlite':
      return new SqliteSession(dataSource);
  }
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
    checkReachable(this.dataSource);
    const { name, text } = statement;
    try {
      const { rows, rowCount } = await pool.query({ name, text, values: bound(statement, values) });
      return { rows, changed: rowCount ?? 0, insertId: 0 };
    } catch (error) {
      throw withoutContent(error);
    }
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
    try {
      return answerOf(await this.runner.query(statement.text, bound(statement, values), true));
    } catch (error) {
      throw withoutContent(error);
    }
  }

  async script(texts: readonly string[]): Promise<void> {
    await this.runner.query(texts.join('; '));
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
    checkReachable(this.dataSource);
    const runner = ownRunner(this.dataSource);
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
