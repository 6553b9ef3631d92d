import { Body, ConflictException, Controller, NotFoundException, Post } from '@nestjs/common';
import {
  Idempotent,
  IdempotencyService,
  Operation,
  type IdempotentOperation,
} from 'nestjs-idempotency';
import { currentManager, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { breakCommit, prepareToBreakCommits } from '../../support/break-commit.js';
import {
  boot,
  expectProblem,
  expectReplay,
  PATIENT,
  type Platform,
  type Reply,
  type TestApp,
} from '../../support/http.js';
import { MARIADB, type SqlDatabase, type SqlDatabaseKind } from '../../support/sql-databases.js';

const DAY_MS = 86_400_000;
const CREATE_PAYMENTS =
  'CREATE TABLE payments (id varchar(64) PRIMARY KEY, amount integer NOT NULL)';

type Mode =
  | 'ok'
  | 'through-ambient'
  | 'through-ambient, and crash'
  | 'not-found'
  | 'crash'
  | 'conflict'
  | 'break-commit'
  | 'second-connection';

interface Pay {
  readonly id: string;
  readonly mode: Mode;
}

/** Lets a test hold handlers back. */
class Gate {
  private open: () => void = () => undefined;
  private entered: () => void = () => undefined;
  passed: Promise<void> = Promise.resolve();
  inside: Promise<void> = Promise.resolve();
  isShut = false;

  shut(): void {
    this.isShut = true;
    this.passed = new Promise((resolve) => (this.open = resolve));
    this.inside = new Promise((resolve) => (this.entered = resolve));
  }

  letPass(): void {
    this.isShut = false;
    this.open();
  }

  async pass(): Promise<void> {
    this.entered();
    await this.passed;
  }
}

export function describeOneTransaction(kind: SqlDatabaseKind, platform: Platform): void {
  describe(`one transaction on ${kind.name}, ${platform}`, () => {
    const gate = new Gate();
    let runs = 0;
    let database: SqlDatabase;
    let dataSource: DataSource;
    let shop: TestApp;
    /** The same application in another process, as far as the database can tell. */
    let other: TestApp;

    const app = async (source: DataSource): Promise<TestApp> => {
      @Controller()
      class PaymentsController {
        @Idempotent({ transaction: true })
        @Post('payments')
        async pay(
          @Body() { id, mode }: Pay,
          @Operation() op: IdempotentOperation,
        ): Promise<object> {
          runs += 1;
          const manager = mode.startsWith('through-ambient') ? currentManager(source) : op.manager;
          await manager.query(`INSERT INTO payments (id, amount) VALUES ('${id}', 1)`);
          if (gate.isShut) await gate.pass();
          if (mode === 'not-found') throw new NotFoundException('no such account');
          if (mode === 'conflict') throw new ConflictException('try again');
          if (mode.endsWith('crash')) throw new Error('out of order');
          if (mode === 'second-connection') await source.query('SELECT 1');
          if (mode === 'break-commit') await breakCommit(source, manager);
          return { id, runs };
        }

        @Idempotent({ transaction: true, wait: '5s' })
        @Post('patient')
        async patient(@Body() { id }: Pay, @Operation() op: IdempotentOperation): Promise<object> {
          runs += 1;
          await op.manager.query(`INSERT INTO payments (id, amount) VALUES ('${id}', 1)`);
          if (gate.isShut) await gate.pass();
          return { id };
        }

        @Idempotent({ transaction: true, onError: () => 'hold' })
        @Post('careful')
        async careful(@Body() { id }: Pay, @Operation() op: IdempotentOperation): Promise<void> {
          runs += 1;
          await op.manager.query(`INSERT INTO payments (id, amount) VALUES ('${id}', 1)`);
          throw new Error('did it go through?');
        }
      }
      return boot(platform, {
        controllers: [PaymentsController],
        idempotency: { ...PATIENT, store: new TypeOrmStore({ dataSource: source, purge: false }) },
      });
    };

    const pay = (id: string, mode: Mode = 'ok', to = shop, path = '/payments'): Promise<Reply> =>
      to.send(path, { key: id, body: { id, mode } });

    const rows = async (id: string): Promise<number> => {
      const [row] = (await dataSource.query(
        `SELECT count(*) AS n FROM payments WHERE id = '${id}'`,
      )) as { n: unknown }[];
      return Number(row!.n);
    };

    beforeAll(async () => {
      database = await kind.start();
      dataSource = await database.connect();
      await dataSource.runMigrations();
      await dataSource.query(CREATE_PAYMENTS);
      await prepareToBreakCommits(dataSource);
      shop = await app(dataSource);
      other = kind.hasManySessions ? await app(await database.connect()) : await app(dataSource);
    });

    afterAll(async () => {
      await shop?.close();
      await other?.close();
      await database?.stop();
    });

    beforeEach(() => {
      runs = 0;
    });

    it('commits the work and its record together, and replays it from any process', async () => {
      const first = await pay('both');
      const retry = await pay('both', 'ok', other);

      expect(first.status).toBe(201);
      expect(retry.headers['idempotent-replayed']).toBe('true');
      expect(retry.text).toBe(first.text);
      expect(runs).toBe(1);
      expect(await rows('both')).toBe(1);
    });

    it('takes part through the current manager, without being handed one', async () => {
      expect((await pay('ambient', 'through-ambient')).status).toBe(201);
      expect(await rows('ambient')).toBe(1);
      expect((await pay('ambient-undone', 'through-ambient, and crash')).status).toBe(500);
      expect(await rows('ambient-undone')).toBe(0);
      expect(currentManager(dataSource)).toBe(dataSource.manager);
    });

    it('undoes the work of a handler that crashed, and runs the retry', async () => {
      expect((await pay('crash', 'crash')).status).toBe(500);
      expect(await rows('crash')).toBe(0);
      expect((await pay('crash', 'crash')).status).toBe(500);
      expect(runs).toBe(2);
    });

    it('keeps the record of an error that is the result, and undoes what was written', async () => {
      const first = await pay('missing', 'not-found');
      const retry = await pay('missing', 'not-found', other);

      expect(first.status).toBe(404);
      expect(retry.status).toBe(404);
      expect(retry.text).toBe(first.text);
      expect(retry.headers['idempotent-replayed']).toBe('true');
      expect(runs).toBe(1);
      expect(await rows('missing')).toBe(0);
    });

    it('neither keeps nor leaves anything of an error that passes', async () => {
      expect((await pay('passing', 'conflict')).status).toBe(409);
      expect(await rows('passing')).toBe(0);
      expect((await pay('passing', 'conflict')).headers['idempotent-replayed']).toBeUndefined();
      expect(runs).toBe(2);
    });

    it('keeps its record for the ttl, from the end of the handler on', async () => {
      gate.shut();
      const paying = pay('slow');
      await gate.inside;
      await sleep(1_000);
      const endedAt = performance.now();
      gate.letPass();
      await paying;
      const found = await shop.app
        .get(IdempotencyService)
        .find({ scope: 'POST /payments', key: 'slow' });
      const sinceMs = performance.now() - endedAt;
      expect(found!.ttlRemainingMs! + sinceMs).toBeGreaterThan(DAY_MS - 500);
    });

    it('does not let the captured success out when the commit fails', async () => {
      const reply = await pay('uncommitted', 'break-commit');

      // A constraint is the work's own failure; a connection that is cut is not.
      if (kind === MARIADB) expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
      else expect(reply.json()).toEqual({ statusCode: 500, message: 'Internal server error' });
      expect(await rows('uncommitted')).toBe(0);
      expect(runs).toBe(1);
    });

    it('holds what may have gone through elsewhere, and undoes what was written here', async () => {
      expect((await pay('held', 'ok', shop, '/careful')).status).toBe(500);
      const retry = await pay('held', 'ok', other, '/careful');

      expect(retry.json()).toMatchObject({ code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' });
      expect(await rows('held')).toBe(0);
      expect(runs).toBe(1);
    });

    it('refuses other content for the same key', async () => {
      await pay('reused');
      const reply = await shop.send('/payments', {
        key: 'reused',
        body: { id: 'else', mode: 'ok' },
      });

      expect(reply.status).toBe(422);
      expect(await rows('else')).toBe(0);
    });

    it('runs once for many concurrent callers in two processes, and gives all the same reply', async () => {
      const replies = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          pay('crowd', 'ok', i % 2 === 0 ? shop : other, '/patient'),
        ),
      );

      expect(new Set(replies.map((reply) => `${reply.status} ${reply.text}`))).toEqual(
        new Set(['201 {"id":"crowd"}']),
      );
      expect(runs).toBe(1);
      expect(await rows('crowd')).toBe(1);
    });

    if (kind.hasManySessions) {
      it('refuses a duplicate of another process at once when it is not to wait', async () => {
        gate.shut();
        const first = pay('busy');
        await gate.inside;
        const duplicate = await pay('busy', 'ok', other);
        gate.letPass();

        expect(duplicate.status).toBe(409);
        expect(duplicate.headers['retry-after']).toBe('1');
        expect((await first).status).toBe(201);
        expect(runs).toBe(1);
      });

      it('replays to many duplicates at once, none of which is to wait', async () => {
        const first = await pay('often');
        const replies = await Promise.all(
          Array.from({ length: 48 }, (_, i) => pay('often', 'ok', i % 2 === 0 ? shop : other)),
        );
        for (const reply of replies) expectReplay(first, reply);
      });

      it('lets a duplicate of another process wait for the first reply', async () => {
        gate.shut();
        const first = pay('waited', 'ok', shop, '/patient');
        await gate.inside;
        const duplicate = pay('waited', 'ok', other, '/patient');
        gate.letPass();

        expect((await first).text).toBe((await duplicate).text);
        expect((await duplicate).headers['idempotent-replayed']).toBe('true');
        expect(runs).toBe(1);
      });

      it('does not have operations on other keys wait', async () => {
        gate.shut();
        const first = pay('one');
        await gate.inside;
        gate.isShut = false;
        const second = await pay('two', 'ok', other);
        gate.letPass();

        expect(second.status).toBe(201);
        expect((await first).status).toBe(201);
      });
    } else {
      it('runs operations on other keys one after the other', async () => {
        const replies = await Promise.all(['p', 'q', 'r', 's'].map((id) => pay(`single-${id}`)));

        expect(replies.map((reply) => reply.status)).toEqual([201, 201, 201, 201]);
        expect(runs).toBe(4);
      });

      it('runs operations on other keys one after the other, also beside one that fails', async () => {
        gate.shut();
        const failing = pay('undone', 'crash');
        await gate.inside;
        gate.isShut = false;
        const beside = pay('beside');
        // Time for it to begin, if it can.
        await sleep(100);
        expect(runs).toBe(1);
        gate.letPass();

        expect([(await failing).status, (await beside).status]).toEqual([500, 201]);
        expect([await rows('undone'), await rows('beside')]).toEqual([0, 1]);
      });
    }

    it('protects code that asks for it by itself', async () => {
      const service = shop.app.get(IdempotencyService);
      const charge = (): Promise<string> =>
        service.run({ scope: 'charge', key: 'run', transaction: true }, async (op) => {
          runs += 1;
          await op.manager.query("INSERT INTO payments (id, amount) VALUES ('run', 1)");
          return 'charged';
        });

      expect(await charge()).toBe('charged');
      expect(await charge()).toBe('charged');
      expect(runs).toBe(1);
      expect(await rows('run')).toBe(1);
    });

    it('leaves no connection behind', async () => {
      const { driver } = dataSource as unknown as {
        driver: { master?: { totalCount: number; idleCount: number } };
      };
      const { totalCount = 0, idleCount = 0 } = driver.master ?? {};

      expect(idleCount).toBe(totalCount);
    });
  });
}
