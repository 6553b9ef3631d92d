import { type INestApplicationContext, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  arg,
  type Duration,
  Idempotent,
  IdempotencyModule,
  type IdempotencyModuleOptions,
  IdempotencyService,
  MemoryStore,
} from 'nestjs-idempotency';
import { type LockService, storeLocks } from 'nestjs-idempotency/contracts';
import { etcdLocks } from 'nestjs-idempotency/etcd';
import { FaultInjectingStore, failBefore } from 'nestjs-idempotency/testing';
import { zookeeperLocks } from 'nestjs-idempotency/zookeeper';

let app: INestApplicationContext | undefined;
afterEach(async () => {
  await app?.close();
  app = undefined;
});

/** A service with one method behind a lock, and one that is recorded. */
async function start(options: IdempotencyModuleOptions, lease?: Duration) {
  @Injectable()
  class Coupons {
    readonly tokens: number[] = [];
    constructor(private readonly idempotency: IdempotencyService) {}

    @Idempotent({ strategy: 'lock', key: arg(0), ...(lease !== undefined && { lease }) })
    claim(_coupon: string): Promise<string> {
      this.tokens.push(this.idempotency.current()!.fencingToken);
      return Promise.resolve('claimed');
    }

    @Idempotent({ key: arg(0) })
    pay(_order: string): Promise<string> {
      return Promise.resolve('paid');
    }
  }
  @Module({ imports: [IdempotencyModule.forRoot(options)], providers: [Coupons] })
  class ShopModule {}
  app = await NestFactory.createApplicationContext(ShopModule, {
    logger: false,
    abortOnError: false,
  });
  return app.get(Coupons);
}

describe('locks of a lock service in an application', () => {
  const faulty = (): FaultInjectingStore => new FaultInjectingStore(new MemoryStore());

  test('are kept there, and records in the store', async () => {
    const [records, locks] = [faulty(), faulty()];
    const coupons = await start({ store: records, locks: storeLocks({ store: locks }) });
    expect([await coupons.claim('half price'), await coupons.claim('half price')]).toEqual([
      'claimed',
      'claimed',
    ]);
    expect(coupons.tokens[1]).toBeGreaterThan(coupons.tokens[0]!);
    expect(records.calls).toEqual([]);
    await coupons.pay('7');
    expect(locks.calls.map(({ verb }) => verb)).toEqual([
      'acquire',
      'release',
      'acquire',
      'release',
    ]);
    expect(records.calls.map(({ verb }) => verb)).toEqual(['acquire', 'complete']);
  });

  test('refuse calls while they cannot be reached, and the store does not answer for them', async () => {
    const locks = faulty();
    const coupons = await start({ locks: storeLocks({ store: locks }) });
    locks.always('acquire', failBefore());
    await expect(coupons.claim('half price')).rejects.toMatchObject({
      code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
    });
    expect(coupons.tokens).toEqual([]);
    expect(await coupons.pay('7')).toBe('paid');
  });

  test('are started and closed with the application, once', async () => {
    const seen: string[] = [];
    const locks: LockService = {
      ...storeLocks({ store: new MemoryStore() }),
      acquire: () => Promise.resolve(undefined),
      start: () => void seen.push('started'),
      close: () => void seen.push('closed'),
    };
    await start({ locks });
    await app!.close();
    app = undefined;
    expect(seen).toEqual(['started', 'closed']);
  });

  test('stop an application with a lease that they would not heed', async () => {
    const locks: LockService = { acquire: () => Promise.resolve(undefined), decidesLease: true };
    await expect(start({ locks }, '10s')).rejects.toThrow(/lease of Coupons\.claim.*session/s);
    await expect(start({ locks, defaults: { lease: '10s' } })).resolves.toBeDefined();
  });

  test('stop an application in production if each process has its own', async () => {
    const before = process.env['NODE_ENV'];
    process.env['NODE_ENV'] = 'production';
    try {
      const locks = storeLocks({ store: new MemoryStore() });
      const store = Object.assign(new FaultInjectingStore(new MemoryStore()), {
        isVolatile: false,
      });
      await expect(start({ store, locks })).rejects.toThrow(/locks/);
      await expect(start({ store, locks, allowMemoryStore: true })).resolves.toBeDefined();
    } finally {
      process.env['NODE_ENV'] = before;
    }
  });

  test.each([
    ['a store', new MemoryStore(), /locks.*storeLocks/s],
    ['nothing that locks', {}, /locks/],
  ])('are not %s', async (_name, locks, message) => {
    await expect(start({ locks: locks as unknown as LockService })).rejects.toThrow(message);
  });

  test('are refused without a client, or with names that a server would not take', () => {
    const none = undefined as never;
    expect(() => etcdLocks({ client: none })).toThrow(/client/);
    expect(() => zookeeperLocks({ client: none })).toThrow(/client/);
    expect(() => etcdLocks({ client: { lease: () => none } as never, prefix: '' })).toThrow(
      /prefix/,
    );
    expect(() => zookeeperLocks({ client: () => none, path: 'locks' })).toThrow(/path/);
    const ofCall = () => new MemoryStore();
    expect(() => storeLocks({ store: Object.assign(new MemoryStore(), { ofCall }) })).toThrow(
      /store/,
    );
  });
});
