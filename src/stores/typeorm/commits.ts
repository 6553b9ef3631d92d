import type { DataSource, QueryRunner } from 'typeorm';
import type { CommitFailure } from '../../engine/transaction.js';
import { commitFailureOf, isPassing } from '../sql/errors.js';

/** Data sources whose database has constraints that it may check only at the commit. */
const deferring = new WeakSet<DataSource>();

/** Looks whether PostgreSQL has anything that it checks only at the commit. */
export async function findDeferred(dataSource: DataSource): Promise<void> {
  if (dataSource.options.type !== 'postgres') return;
  const rows = await dataSource.query<{ readonly is_there: boolean }[]>(
    'SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE condeferrable) AS is_there',
  );
  if (rows[0]?.is_there === true) deferring.add(dataSource);
}

/**
 * Has the database check everything now, so that its errors are those of the handler, with filters
 * and `onError`. Absent where nothing is deferred.
 */
export function checkOfWork(
  dataSource: DataSource,
  runner: QueryRunner,
): (() => Promise<void>) | undefined {
  if (!deferring.has(dataSource)) return undefined;
  return async () => {
    await runner.query('SET CONSTRAINTS ALL IMMEDIATE');
  };
}

/** Errors of TypeORM that say nothing but that there is no connection. */
const WITHOUT_CONNECTION =
  /^(TypeORMError|QueryRunner|Connection|TransactionNotStarted|CannotExecute)/;

/** What an error at the commit means. What subscribers throw before it is the application's. */
export function failureOf(dataSource: DataSource, error: unknown): CommitFailure {
  const { name = '', driverError } = (error ?? {}) as { name?: string; driverError?: unknown };
  const isDrivers = driverError !== undefined || WITHOUT_CONNECTION.test(name) || isPassing(error);
  const failure = isDrivers ? commitFailureOf(error) : 'work';
  // A migration has come after the start.
  if (failure === 'work' && isDrivers && dataSource.options.type === 'postgres')
    deferring.add(dataSource);
  return failure;
}

/**
 * Commits, whatever the work has left open. An error means that the commit has failed, or that this
 * is not known: what subscribers do afterwards does not change it.
 */
export async function commit(runner: QueryRunner, warn: (problem: string) => void): Promise<void> {
  if (!runner.isTransactionActive) {
    warn('its handler has ended the transaction itself, so record and work were not one commit');
    return;
  }
  try {
    // A nested transaction that the handler has not ended is part of the whole.
    while (runner.isTransactionActive) await runner.commitTransaction();
  } catch (error) {
    // TypeORM tells subscribers after it has committed.
    if (runner.isTransactionActive) throw error;
    warn(`a subscriber failed after the commit, which stands: ${String(error)}`);
  }
}
