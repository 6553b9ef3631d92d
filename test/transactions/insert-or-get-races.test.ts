import { insertOrGet } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager } from 'typeorm';
import { MARIADB, POSTGRES, type SqlDatabase } from '../support/sql-databases.js';
import { CALLERS, countInserted, listing, Listing, LISTINGS } from './listings.js';

const DEADLOCK = 1213;

describe.each([POSTGRES, MARIADB])('insertOrGet() among transactions of $name', (kind) => {
  let database: SqlDatabase;
  let dataSource: DataSource;

  beforeAll(async () => {
    database = await kind.start();
    dataSource = await database.connect({ ...LISTINGS, poolSize: 40 });
  });
  afterAll(() => database.stop());

  /** A transaction that the test ends. */
  async function begin(level?: 'REPEATABLE READ' | 'SERIALIZABLE'): Promise<EntityManager> {
    const runner = dataSource.createQueryRunner();
    await runner.startTransaction(level);
    return runner.manager;
  }
  /** As an application does it: again, when MariaDB has chosen it to give in to the others. */
  async function transaction<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await dataSource.transaction(work);
      } catch (error) {
        if ((error as { errno?: unknown }).errno !== DEADLOCK) throw error;
      }
    }
  }
  async function end(manager: EntityManager, how: 'commit' | 'rollback'): Promise<void> {
    const runner = manager.queryRunner!;
    await (how === 'commit' ? runner.commitTransaction() : runner.rollbackTransaction());
    await runner.release();
  }

  it('inserts once for 32 transactions, which all go on', async () => {
    const values = listing();
    const results = await Promise.all(
      CALLERS.map(() =>
        transaction(async (manager) => {
          const result = await insertOrGet(manager, Listing, values);
          await insertOrGet(manager, Listing, listing());
          return result;
        }),
      ),
    );
    expect(countInserted(results)).toBe(1);
    expect(new Set(results.map(({ entity }) => entity.id)).size).toBe(1);
    expect(await dataSource.manager.countBy(Listing, { goodsId: values.goodsId })).toBe(1);
  });

  it.each([
    ['commit', false],
    ['rollback', true],
  ] as const)('waits for the transaction that inserts, and its %s', async (how, inserted) => {
    const values = listing();
    const first = await begin();
    expect(await insertOrGet(first, Listing, values)).toMatchObject({ inserted: true });
    const second = await begin();
    const waiting = insertOrGet(second, Listing, values);
    expect(await Promise.race([waiting, sleep(100, 'waits')])).toBe('waits');
    await end(first, how);
    expect(await waiting).toMatchObject({ inserted });
    await end(second, 'commit');
    expect(await dataSource.manager.countBy(Listing, { goodsId: values.goodsId })).toBe(1);
  });

  it('has one of many insert when the first one rolls back', async () => {
    const values = listing();
    const first = await begin();
    await insertOrGet(first, Listing, values);
    const others = CALLERS.map(() =>
      transaction((manager) => insertOrGet(manager, Listing, values)),
    );
    await sleep(100);
    await end(first, 'rollback');
    expect(countInserted(await Promise.all(others))).toBe(1);
  });

  /** A transaction that has begun to read before another one has inserted the row. */
  async function behind(
    values: ReturnType<typeof listing>,
    ...begun: Parameters<typeof begin>
  ): Promise<EntityManager> {
    const manager = await begin(...begun);
    expect(await manager.countBy(Listing, { goodsId: values.goodsId })).toBe(0);
    await insertOrGet(dataSource.manager, Listing, values);
    return manager;
  }

  if (kind === POSTGRES) {
    it.each(['REPEATABLE READ', 'SERIALIZABLE'] as const)(
      'says 40001 where %s forbids to see the row',
      async (level) => {
        const values = listing();
        const manager = await behind(values, level);
        await expect(insertOrGet(manager, Listing, values)).rejects.toMatchObject({
          code: '40001',
        });
        await end(manager, 'rollback');
      },
    );
  } else {
    it('finds under REPEATABLE READ what was committed since the transaction began to read', async () => {
      const values = listing();
      const manager = await behind(values);
      expect(await insertOrGet(manager, Listing, values)).toMatchObject({
        entity: await dataSource.manager.findOneByOrFail(Listing, { goodsId: values.goodsId }),
        inserted: false,
      });
      await end(manager, 'commit');
    });

    it('says 1020 where innodb_snapshot_isolation forbids to see the row', async () => {
      const values = listing();
      const manager = await begin();
      await manager.query('SET SESSION innodb_snapshot_isolation = ON');
      await manager.countBy(Listing, { goodsId: values.goodsId });
      await insertOrGet(dataSource.manager, Listing, values);
      await expect(insertOrGet(manager, Listing, values)).rejects.toMatchObject({ errno: 1020 });
      await manager.query('SET SESSION innodb_snapshot_isolation = OFF');
      await end(manager, 'rollback');
    });

    it('tells rows apart without FOUND_ROWS', async () => {
      const plain = await database.connect({ ...LISTINGS, extra: { flags: ['-FOUND_ROWS'] } });
      const values = listing();
      const results = await Promise.all(
        CALLERS.map(() => insertOrGet(plain.manager, Listing, values)),
      );
      expect(countInserted(results)).toBe(1);
    });

    it('hides no value that is too long', async () => {
      const tooLong = { ...listing(), slug: 'longer than eight' };
      await expect(insertOrGet(dataSource.manager, Listing, tooLong)).rejects.toThrow(/too long/);
    });
  }
});
