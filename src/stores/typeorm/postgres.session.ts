import type { DataSource } from 'typeorm';
import { DataSourceSession } from './query-runner.session.js';
import {
  type Answer,
  bound,
  type Row,
  type Session,
  type Statement,
  type Values,
} from './session.js';

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
 * Statements with a name, which every connection of the pool parses and plans once. TypeORM has no
 * way to name them, so they go to its pool directly, past its logger.
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

/** Asked anew each time: the pool is another one after the data source was opened again. */
function poolOf(dataSource: DataSource): Pool | undefined {
  const { master } = dataSource.driver as { master?: Partial<Pool> };
  return typeof master?.query === 'function' ? (master as Pool) : undefined;
}
