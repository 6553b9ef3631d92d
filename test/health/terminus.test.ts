import { Controller, Get } from '@nestjs/common';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Redis } from 'ioredis';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { IdempotencyHealthIndicator } from 'nestjs-idempotency/terminus';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { boot, PLATFORMS, type TestApp } from '../support/http.js';
import { startRedis } from '../support/servers/redis.js';
import { POSTGRES } from '../support/sql-databases.js';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly idempotency: IdempotencyHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.idempotency.isHealthy('records')]);
  }
}

const bootWith = (
  store: IdempotencyStore,
  platform: (typeof PLATFORMS)[number],
): Promise<TestApp> =>
  boot(platform, {
    imports: [TerminusModule],
    providers: [IdempotencyHealthIndicator],
    controllers: [HealthController],
    idempotency: { store, storeTimeout: '1s', isGlobal: false },
  });

const check = (test: TestApp) => test.send('/health', { method: 'GET' });

describe.each(PLATFORMS)('the health indicator on %s', (platform) => {
  it('says up while Redis can be written, and down while it cannot', async () => {
    const server = await startRedis('--maxmemory-policy', 'noeviction');
    const client = new Redis(server.port);
    const admin = new Redis(server.port);
    const test = await bootWith(new RedisStore({ client }), platform);
    try {
      const up = await check(test);
      expect(up.status).toBe(200);
      expect(up.json()).toMatchObject({ status: 'ok', info: { records: { status: 'up' } } });

      // Reading still works on a server that is full, claims do not.
      await admin.config('SET', 'maxmemory', '1');
      const full = await check(test);
      expect(full.status).toBe(503);
      const message = 'Idempotency store unavailable';
      expect(full.json()).toMatchObject({ error: { records: { status: 'down', message } } });
      await admin.config('SET', 'maxmemory', '0');
      expect((await check(test)).status).toBe(200);

      server.pause();
      const askedAt = Date.now();
      expect((await check(test)).status).toBe(503);
      expect(Date.now() - askedAt).toBeLessThan(20_000);
      server.resume();
      expect((await check(test)).status).toBe(200);
      expect(await admin.dbsize()).toBeLessThan(2);
    } finally {
      await test.close();
      client.disconnect();
      admin.disconnect();
      await server.stop();
    }
  });
});

test('the health indicator leaves one row that is over, however often it is asked', async () => {
  const database = await POSTGRES.start();
  const dataSource = await database.connect({ migrationsRun: true });
  const store = new TypeOrmStore({ dataSource, purge: false });
  const app = await bootWith(store, 'express');
  try {
    for (let i = 0; i < 5; i++) expect((await check(app)).status).toBe(200);
    const [row] = (await dataSource.query('SELECT count(*) AS n FROM idempotency_records')) as {
      n: string;
    }[];
    expect(row!.n).toBe('1');
    expect(await store.purgeExpired(10)).toBe(1);
  } finally {
    await app.close();
    await database.stop();
  }
});
