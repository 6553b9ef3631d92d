import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { DataSourceSession } from './query-runner.session.js';
import type { Answer, Session, Statement, Values } from './session.js';

/** Below the time that callers wait for a store. In milliseconds. */
const PATIENCE_MS = 1_500;
const LOOK_AGAIN_MS = 2;

/**
 * The one connection that the application uses too. While it has begun a transaction there, a
 * statement of the store would become part of it, and be undone with it: so the store waits for the
 * end. Code inside of the transaction that waits for the store therefore gets an error.
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

  /** There is no other. */
  onOneConnection<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return work(this);
  }

  /** TypeORM's drivers for SQLite have one query runner for all. */
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
          "A transaction of the application's has kept the only SQLite connection from the " +
            `idempotency store for ${PATIENCE_MS} ms.`,
        );
      }
      await sleep(LOOK_AGAIN_MS);
    }
  }
}
