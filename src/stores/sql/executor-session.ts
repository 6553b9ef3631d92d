import { withoutContent } from '../../engine/driver-errors.js';
import { isInTransaction, unwatched } from './current-transaction.js';
import { driverErrorOf } from './errors.js';
import type { SqlConnection, SqlExecutor, SqlResult, SqlValue } from './executor.js';
import { type Answer, bound, type Session, type Statement, type Values } from './session.js';
import { waitsForItself } from './transaction-edge.js';

/** Statements on any connection of an executor, outside of the transaction that the code runs in. */
export class ExecutorSession implements Session {
  constructor(private readonly executor: SqlExecutor) {}

  query(statement: Statement, values: Values): Promise<Answer> {
    const { executor } = this;
    return unwatched(() => ask(executor, executor, statement, values));
  }

  /** In a transaction, because that is how an executor keeps a connection. */
  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    const { executor } = this;
    return unwatched(() =>
      executor.transaction((connection) => work(new ConnectionSession(executor, () => connection))),
    );
  }
}

/** As {@link ExecutorSession}. If there is only one connection, code in a transaction would wait for itself. */
export class LoneSession extends ExecutorSession {
  constructor(private readonly lone: SqlExecutor) {
    super(lone);
  }

  override query(statement: Statement, values: Values): Promise<Answer> {
    if (this.lone.isSingle !== true || !isInTransaction(this.lone))
      return super.query(statement, values);
    throw waitsForItself('Do it after the operation.');
  }
}

/** Statements on the connection of a transaction; on any while there is none. */
export class ConnectionSession implements Session {
  constructor(
    private readonly executor: SqlExecutor,
    private readonly current: () => SqlConnection | undefined,
  ) {}

  query(statement: Statement, values: Values): Promise<Answer> {
    const connection = this.current();
    return connection === undefined
      ? unwatched(() => ask(this.executor, this.executor, statement, values))
      : ask(this.executor, connection, statement, values);
  }

  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return work(this);
  }

  get script(): Session['script'] {
    const connection = this.current();
    return connection?.script && ((texts) => connection.script!(texts));
  }
}

async function ask(
  executor: SqlExecutor,
  target: Pick<SqlExecutor, 'query'>,
  statement: Statement,
  values: Values,
): Promise<Answer> {
  const { name, text, returnsRows } = statement;
  const given = bound(statement, values) as SqlValue[];
  try {
    return answerOf(await target.query({ name, text, values: given, returnsRows }));
  } catch (error) {
    throw withoutContent(executor.errorOf?.(error) ?? driverErrorOf(error));
  }
}

function answerOf({ rows = [], affected, insertId }: SqlResult): Answer {
  // SQLite's statements return the rows that they change.
  const changed = Math.max(rows.length, Number(affected ?? 0));
  return { rows, changed, insertId: Number(insertId ?? 0) };
}
