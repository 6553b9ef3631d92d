import type { DataSource } from 'typeorm';

/** The name of the lock: only one shop creates tables at a time. */
const LOCK = 'sample-shop-tables';

const LOCKING = {
  postgres: {
    lock: `SELECT pg_advisory_lock(hashtext('${LOCK}'))`,
    unlock: `SELECT pg_advisory_unlock(hashtext('${LOCK}'))`,
  },
  mysql: {
    // A year, because there is no value for "no limit".
    lock: `SELECT GET_LOCK('${LOCK}', 31536000)`,
    unlock: `SELECT RELEASE_LOCK('${LOCK}')`,
  },
} as const;

/**
 * Creates the missing tables. Shops that start at the same time take turns, on a connection that
 * holds the lock.
 */
export async function createTables(dataSource: DataSource): Promise<void> {
  const { lock, unlock } = LOCKING[dataSource.options.type as keyof typeof LOCKING];
  const turn = dataSource.createQueryRunner();
  try {
    await turn.query(lock);
    // The business schema is created from the entities. That is fine for a sample, but never for
    // real data.
    await dataSource.synchronize();
    await dataSource.runMigrations();
    await turn.query(unlock);
  } finally {
    await turn.release();
  }
}
