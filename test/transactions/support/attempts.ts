import { Test } from '@nestjs/testing';
import { DelayedError } from 'bullmq';
import { IdempotencyModule, IdempotencyService, type RunOptions } from 'nestjs-idempotency';
import { currentManager, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource } from 'typeorm';
import { createHash } from 'node:crypto';
import { recordId } from '../../../src/keys/record-id.js';
import { eventually } from '../../support/http.js';
import type { SqlDatabase, SqlDatabaseKind } from '../../support/sql-databases.js';

const POISON = new Error('poison');

/** Attempts of operations whose record is undone together with their work. */
export function describeAttempts(kind: SqlDatabaseKind): void {
  describe(`attempts in transactions on ${kind.name}`, () => {
    let database: SqlDatabase;
    let opened: { close(): Promise<void> }[];
    let dataSource: DataSource;
    let keys = 0;
    let runs: number;

    beforeAll(async () => {
      database = await kind.start();
      const first = await database.connect();
      await first.runMigrations();
      await first.query('CREATE TABLE effects (name VARCHAR(50))');
      dataSource = first;
    }, 180_000);
    afterAll(() => database?.stop());
    beforeEach(() => {
      [opened, runs] = [[], 0];
    });
    afterEach(async () => {
      for (const each of opened) await each.close();
    });

    /** Another process, where the database takes more than one. */
    async function process(): Promise<IdempotencyService> {
      const own = kind.hasManySessions ? await database.connect() : dataSource;
      const store = new TypeOrmStore({ dataSource: own, purge: false });
      const imports = [IdempotencyModule.forRoot({ store })];
      const module = await Test.createTestingModule({ imports }).compile();
      module.useLogger(false);
      await module.init();
      opened.push(module);
      return module.get(IdempotencyService);
    }

    const newOptions = (more: Partial<RunOptions> = {}): RunOptions => ({
      scope: 'poison',
      key: `key ${(keys += 1)}`,
      transaction: true,
      maxAttempts: 3,
      ...more,
    });

    const effects = async (): Promise<number> => {
      const [{ count }] = await dataSource.query<[{ count: number | string }]>(
        'SELECT count(*) AS count FROM effects',
      );
      return Number(count);
    };

    async function write(): Promise<void> {
      runs += 1;
      await currentManager(dataSource).query("INSERT INTO effects VALUES ('effect')");
    }

    async function fail(): Promise<never> {
      runs += 1;
      throw POISON;
    }

    it('are counted over undone transactions, in any process, and end with a held operation', async () => {
      const options = newOptions();
      for (let attempt = 1; attempt <= 3; attempt++)
        await expect((await process()).run(options, fail)).rejects.toBe(POISON);
      const last = await process();
      await expect(last.run(options, fail)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
      });
      expect(runs).toBe(3);
      expect(await last.find(options)).toMatchObject({
        state: 'held',
        reason: 'all 3 attempts failed',
      });
    });

    it('that say "not now" are not counted, and undo no count', async () => {
      const options = newOptions({ maxAttempts: 2 });
      const service = await process();
      const before = await effects();
      const told: number[] = [];
      const later = (operation: { readonly attempt: number }): Promise<never> => {
        told.push(operation.attempt);
        return write().then(() => {
          throw new DelayedError();
        });
      };
      await expect(service.run(options, later)).rejects.toThrow(DelayedError);
      await expect(service.run(options, fail)).rejects.toBe(POISON);
      for (let time = 1; time <= 2; time++)
        await expect((await process()).run(options, later)).rejects.toThrow(DelayedError);
      await expect(service.run(options, fail)).rejects.toBe(POISON);
      await expect(service.run(options, fail)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
      });
      expect(told).toEqual([1, 2, 2]);
      expect(await effects()).toBe(before + 3);
    });

    it('can end with the failure as the result', async () => {
      const options = newOptions({ maxAttempts: { times: 2, afterwards: 'store' } });
      const service = await process();
      for (let call = 1; call <= 4; call++)
        await expect(service.run(options, fail)).rejects.toThrow('poison');
      expect(runs).toBe(2);
    });

    it('that succeed are forgotten, and their replays count nothing', async () => {
      const before = await effects();
      const options = newOptions({ maxAttempts: 2 });
      const service = await process();
      await expect(service.run(options, fail)).rejects.toBe(POISON);
      for (let call = 1; call <= 4; call++)
        expect(
          await (
            await process()
          ).run(options, async (operation) => {
            await write();
            return operation.attempt;
          }),
        ).toBe(2);
      expect(await effects()).toBe(before + 1);
      await service.forget(options);
      await expect(service.run(options, fail)).rejects.toBe(POISON);
      await expect(service.run(options, async (operation) => operation.attempt)).resolves.toBe(2);

      const forgotten = newOptions({ maxAttempts: 2 });
      await expect(service.run(forgotten, fail)).rejects.toBe(POISON);
      await service.run(forgotten, write);
      await service.forget(forgotten);
      await expect(service.run(forgotten, async ({ attempt }) => attempt)).resolves.toBe(1);
    });

    it('begin anew when an operator forgets or releases the operation', async () => {
      const options = newOptions({ maxAttempts: 2 });
      const service = await process();
      const told: number[] = [];
      const failAs = ({ attempt }: { readonly attempt: number }): Promise<never> => {
        told.push(attempt);
        return fail();
      };
      await expect(service.run(options, failAs)).rejects.toBe(POISON);
      expect(await service.forget(options)).toBe(true);
      for (let attempt = 1; attempt <= 2; attempt++)
        await expect(service.run(options, failAs)).rejects.toBe(POISON);
      const settledBy = { by: 'anna', reason: 'it did not happen' };
      expect(await service.settle(options, 'release', settledBy)).toBe(true);
      await expect(service.run(options, failAs)).rejects.toBe(POISON);
      expect(told).toEqual([1, 1, 2, 1]);
      expect(await service.forget(options)).toBe(true);
      expect(await service.forget(options)).toBe(false);
    });

    it('whose process is gone count when their lease is over', async () => {
      const options = newOptions({ maxAttempts: 1 });
      const store = new TypeOrmStore({ dataSource, purge: false });
      // What a process leaves behind that died in its handler: the transaction is undone.
      const id = counterOf(recordId(options.scope, undefined, options.key as string));
      const dead = { id, owner: 'dead', fingerprint: '', leaseMs: 500, ttlMs: 60_000 };
      await store.acquire(dead);
      const service = await process();
      await expect(service.run(options, write)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_KEY_IN_USE',
      });
      await eventually(async () => (await store.find(id))!.leaseRemainingMs! <= 0);
      await expect(service.run(options, write)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED',
      });
      await expect(service.run(options, write)).rejects.toMatchObject({
        code: 'IDEMPOTENCY_OUTCOME_UNKNOWN',
      });
      expect(runs).toBe(0);
    });
  });
}

function counterOf(id: string): string {
  return createHash('sha256').update(`attempts of ${id}`).digest('hex');
}
