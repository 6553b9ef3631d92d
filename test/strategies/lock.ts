import { Body, Controller, InternalServerErrorException, Param, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import {
  Idempotent,
  type IdempotentOperation,
  IdempotencyService,
  MemoryStore,
  Operation,
  param,
} from 'nestjs-idempotency';
import { type IdempotencyStore, systemClock } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { ManualClock } from 'nestjs-idempotency/testing';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { boot, eventually, expectProblem, PATIENT, type TestApp } from '../support/http.js';
import { tally } from '../support/engine.js';
import { sharedRedis } from '../support/servers/shared.js';
import { POSTGRES } from '../support/sql-databases.js';

const LEASE_MS = 1_000;

interface Stores {
  /** As another process would open it. */
  open(): Promise<IdempotencyStore>;
  stop(): Promise<unknown>;
}

const STORES: Record<string, () => Promise<Stores>> = {
  memory: async () => {
    const store = new MemoryStore();
    return { open: async () => store, stop: async () => undefined };
  },
  Redis: async () => {
    const server = await sharedRedis();
    const clients: Redis[] = [];
    return {
      open: async () => {
        const client = new Redis(server.url);
        clients.push(client);
        return new RedisStore({ client });
      },
      stop: async () => {
        for (const client of clients) client.disconnect();
        await server.stop();
      },
    };
  },
  PostgreSQL: async () => {
    const database = await POSTGRES.start();
    await (await database.connect()).runMigrations();
    return {
      open: async () => new TypeOrmStore({ dataSource: await database.connect(), purge: false }),
      stop: () => database.stop(),
    };
  },
};

/** Every store, and both platforms on one: what a store does, no platform knows. */
export const PLACES = (
  [
    ['memory', 'express'],
    ['memory', 'fastify'],
    ['Redis', 'express'],
    ['PostgreSQL', 'fastify'],
  ] as const
).map(([store, platform]) => ({
  name: `${store}, ${platform}`,
  start: STORES[store]!,
  platform,
}));

interface Work {
  readonly ms?: number;
  readonly fails?: boolean;
}

export function describeLock(rows: readonly (typeof PLACES)[number][]): void {
  describe.each(rows)('strategy lock on $name', ({ start, platform }) => {
    let stores: Stores;
    let apps: [TestApp, TestApp];
    /** An application whose timers stand still: its leases are not renewed. */
    let paused: TestApp;
    const pausedClock = new ManualClock();
    let inside = 0;
    let most = 0;
    let steps = 0;
    let holders: IdempotentOperation[] = [];
    let goOn: () => void = () => undefined;

    @Controller('coupons/:id')
    class Coupons {
      @Idempotent({ strategy: 'lock', key: param('id'), wait: '25s', lease: LEASE_MS })
      @Post('claim')
      async claim(
        @Operation() operation: IdempotentOperation,
        @Body() { ms = 0, fails }: Work,
      ): Promise<object> {
        most = Math.max(most, (inside += 1));
        holders.push(operation);
        await operation.step('count', () => (steps += 1));
        await new Promise((resolve) => setTimeout(resolve, ms));
        inside -= 1;
        if (fails === true) throw new InternalServerErrorException();
        const { attempt, fencingToken } = operation;
        return { attempt, fencingToken, steps };
      }

      @Idempotent({ strategy: 'lock', key: param('id'), lease: LEASE_MS, scope: 'coupons' })
      @Post('hold')
      async hold(@Operation() operation: IdempotentOperation): Promise<number> {
        holders.push(operation);
        await new Promise<void>((resolve) => (goOn = resolve));
        return operation.fencingToken;
      }

      @Idempotent({
        strategy: 'lock',
        key: param('id'),
        principal: ({ request }) => request.headers['x-user'] as string,
      })
      @Post('own')
      async own(@Param('id') _id: string): Promise<void> {
        await new Promise<void>((resolve) => (goOn = resolve));
      }
    }

    const open = async (clock = systemClock): Promise<TestApp> =>
      boot(platform, {
        controllers: [Coupons],
        clock,
        idempotency: {
          ...PATIENT,
          store: await stores.open(),
          principal: ({ request }) => request.headers['x-user'] as string | undefined,
          defaults: { onAbandoned: 'hold' },
        },
      });

    beforeAll(async () => {
      stores = await start();
      apps = [await open(), await open()];
      paused = await open(pausedClock);
    });
    afterAll(async () => {
      for (const app of [...(apps ?? []), paused]) await app?.close();
      await stores?.stop();
    });
    beforeEach(() => {
      [inside, most, steps, holders, goOn] = [0, 0, 0, [], () => undefined];
    });

    const claim = (id: string, body: Work = {}, to = apps[0]) =>
      to.send(`/coupons/${id}/claim`, { body });

    it('lets 64 callers of two processes in, one at a time, and each of them', async () => {
      const replies = await Promise.all(
        Array.from({ length: 64 }, (_, at) => claim('crowd', {}, apps[at % 2])),
      );

      expect(tally(replies.map(({ status }) => String(status)))).toEqual({ 201: 64 });
      expect(most).toBe(1);
      const tokens = holders.map(({ fencingToken }) => fencingToken);
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
    });

    it('keeps nothing: not the reply, not the attempt, not the steps', async () => {
      const first = (await claim('again')).json();
      const second = (await claim('again', {}, apps[1])).json();

      expect(first).toMatchObject({ attempt: 1, steps: 1 });
      expect(second).toMatchObject({ attempt: 1, steps: 2 });
      const view = await apps[0].app
        .get(IdempotencyService)
        .find({ scope: 'POST /coupons/:id/claim', key: 'again' });
      expect(view?.state ?? 'released').toBe('released');
    });

    it('is free after a holder that failed', async () => {
      expect((await claim('failed', { fails: true })).status).toBe(500);
      expect((await claim('failed', {}, apps[1])).status).toBe(201);
    });

    it('is held by whoever works longer than a lease', async () => {
      const long = claim('long', { ms: 3 * LEASE_MS });
      await eventually(() => inside === 1);
      expect((await claim('long', {}, apps[1])).status).toBe(201);
      expect((await long).status).toBe(201);
      expect(most).toBe(1);
    });

    it('refuses those who do not wait, with Retry-After', async () => {
      const holding = apps[0].send('/coupons/busy/hold');
      await eventually(() => holders.length === 1);
      const refused = await apps[1].send('/coupons/busy/hold');

      expectProblem(refused, 409, 'IDEMPOTENCY_KEY_IN_USE');
      expect(refused.headers['retry-after']).toBe('1');
      goOn();
      expect((await holding).status).toBe(201);
    });

    it('excludes other users, whom the application knows', async () => {
      const hold = (user: string) =>
        apps[0].send('/coupons/shared/hold', { headers: { 'x-user': user } });
      const alice = hold('alice');
      await eventually(() => holders.length === 1);
      expectProblem(await hold('bob'), 409, 'IDEMPOTENCY_KEY_IN_USE');
      goOn();
      expect((await alice).status).toBe(201);
    });

    it('is everybody’s, unless it has a principal', async () => {
      const own = (user: string) => apps[0].send('/coupons/7/own', { headers: { 'x-user': user } });
      const alice = own('alice');
      let letAliceGo = goOn;
      await eventually(() => goOn !== letAliceGo);
      letAliceGo = goOn;
      expect((await own('alice')).status).toBe(409);
      const bob = own('bob');
      await eventually(() => goOn !== letAliceGo);
      goOn();
      letAliceGo();

      expect((await alice).status).toBe(201);
      expect((await bob).status).toBe(201);
    });

    it('is lost to a holder that was paused, which learns of it and answers 409', async () => {
      const late = claim('zombie', { ms: 4 * LEASE_MS }, paused);
      await eventually(() => holders.length === 1);
      const next = claim('zombie', { ms: 4 * LEASE_MS });
      await eventually(() => holders.length === 2);
      await pausedClock.advance(LEASE_MS);
      const [old, current] = holders as [IdempotentOperation, IdempotentOperation];

      expect(old.signal.aborted).toBe(true);
      expect(old.fencingToken).toBeLessThan(current.fencingToken);
      expect(current.signal.aborted).toBe(false);
      expectProblem(await late, 409, 'IDEMPOTENCY_KEY_IN_USE');
      expect((await next).json()).toMatchObject({ fencingToken: current.fencingToken });
    });
  });
}
