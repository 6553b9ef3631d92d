import type { DataSource } from 'typeorm';

/** Names what only one shop may do at a time. */
const LOCK = 'sample-shop-tables';

const LOCKING = {
  postgres: {
    lock: `SELECT pg_advisory_lock(hashtext('${LOCK}'))`,
    unlock: `SELECT pg_advisory_unlock(hashtext('${LOCK}'))`,
  },
  mysql: {
    // A year: it has no word for "as long as it takes".
    lock: `SELECT GET_LOCK('${LOCK}', 31536000)`,
    unlock: `SELECT RELEASE_LOCK('${LOCK}')`,
  },
} as const;

/**
 * Makes the tables that are not there yet. Shops that start at the same time take turns, on a
 * connection that holds the lock meanwhile.
 */
export async function createTables(dataSource: DataSource): Promise<void> {
  const { lock, unlock } = LOCKING[dataSource.options.type as keyof typeof LOCKING];
  const turn = dataSource.createQueryRunner();
  try {
    await turn.query(lock);
    // The schema of the business follows its entities: right for a sample, never for real data.
    await dataSource.synchronize();
    await dataSource.runMigrations();
    await turn.query(unlock);
  } finally {
    await turn.release();
  }
}
