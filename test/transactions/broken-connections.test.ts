import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { Pool } from 'pg';
import { POSTGRES, type SqlDatabase } from '../support/sql-databases.js';

/** Nothing happens in the process meanwhile; what servers send comes in one piece afterwards. */
function standStill(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

describe('a connection of pg that breaks while its pool hands it on', () => {
  let database: SqlDatabase;

  beforeAll(async () => {
    database = await POSTGRES.start();
  });

  afterAll(() => database.stop());

  it('does not end the process', async () => {
    const admin = await database.connect({ poolSize: 1 });
    const dataSource = await database.connect({ poolSize: 1 });
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource, purge: false });
    await store.start((warning) => expect(warning).toBe(''));
    const { master: pool } = dataSource.driver as unknown as { master: Pool };
    for (let round = 0; round < 3; round += 1) {
      const [{ pid }] = await dataSource.query<[{ pid: number }]>('SELECT pg_backend_pid() AS pid');
      // As the store's own statements: the pool has the connection back with the last byte.
      const last = pool.query('SELECT pg_sleep(0.05)');
      const next = store.beginTransaction({ source: undefined, lockWaitMs: 0 });
      const killed = admin.query(`SELECT pg_sleep(0.15), pg_terminate_backend(${pid})`);
      // Both statements are on their way.
      await new Promise((resolve) => setTimeout(resolve, 20));
      standStill(400);
      const [, begun] = await Promise.allSettled([last, next]);
      if (begun.status === 'fulfilled') await begun.value.rollback();
      await killed;
    }
    expect(await dataSource.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });
});
