import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { claimOf } from '../support/claims.js';
import { MARIADB, PGLITE, POSTGRES, SQLITE } from '../support/sql-databases.js';

describe.each([POSTGRES, MARIADB, PGLITE, SQLITE])('on $name', ({ start }) => {
  it('a claim that nobody waits for any more leaves nothing behind', async () => {
    const database = await start();
    const dataSource = await database.connect();
    await dataSource.runMigrations();
    const store = new TypeOrmStore({ dataSource });
    const request = { source: undefined, lockWaitMs: 0 };
    const claim = claimOf();
    const transaction = await store.beginTransaction(request);
    const claiming = transaction.acquire(claim).catch(() => undefined);
    await transaction.rollback();
    await claiming;
    expect(await store.find(claim.id)).toBeUndefined();
    // Nor does it keep the connection or a lock.
    const next = await store.beginTransaction(request);
    expect((await next.acquire(claimOf({ id: claim.id }))).outcome).toBe('acquired');
    await next.rollback();
    await database.stop();
  });
});
