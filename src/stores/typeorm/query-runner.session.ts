import type { DataSource, QueryResult, QueryRunner } from 'typeorm';
import {
  type Answer,
  bound,
  type Row,
  type Session,
  type Statement,
  type Values,
} from './session.js';

/** One connection: a transaction's, when it has begun one. */
export class QueryRunnerSession implements Session {
  constructor(private readonly runner: QueryRunner) {}

  async query(statement: Statement, values: Values): Promise<Answer> {
    return answerOf(await this.runner.query(statement.text, bound(statement, values), true));
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return work(this);
  }
}

/** Any connection of the data source's pool, for as long as a statement takes. */
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
  // SQLite's drivers do not agree on how to count, so there statements return what they change.
  return { rows, changed: Math.max(rows.length, affected ?? 0), insertId };
}
