import { Controller, Post } from '@nestjs/common';
import { Redis } from 'ioredis';
import { Idempotent } from 'nestjs-idempotency';
import { RedisStore } from 'nestjs-idempotency/redis';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { ask, startRedis } from '../support/servers/redis.js';
import { SLACK_MS, STORE_TIMEOUT_MS } from './support/nodes.js';

let runs = 0;
let gate: Promise<void> | undefined;
let entered = (): void => {};

@Controller()
class PaymentsController {
  @Post('payments')
  @Idempotent()
  async pay(): Promise<{ run: number }> {
    const run = ++runs;
    entered();
    await gate;
    return { run };
  }
}

describe.each(PLATFORMS)('a Nest application on %s whose Redis fails', (platform) => {
  let server: PrivateServer;
  let client: Redis;
  let app: TestApp;

  beforeEach(async () => {
    runs = 0;
    gate = undefined;
    server = await startRedis();
    client = new Redis(server.port, { retryStrategy: () => 50 });
    client.on('error', () => undefined);
    app = await boot(platform, {
      controllers: [PaymentsController],
      idempotency: { store: new RedisStore({ client }), storeTimeout: STORE_TIMEOUT_MS },
    });
  });

  afterEach(async () => {
    await app.close();
    client.disconnect();
    await server.stop();
  });

  const pay = (key: string): Promise<Reply> => app.send('/payments', { key });

  async function expectUnavailable(key: string): Promise<void> {
    const startedAt = performance.now();
    const reply = await pay(key);
    expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(reply.headers['retry-after']).toBe('1');
    expect(performance.now() - startedAt).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
  }

  /** Without a restart of the application. */
  async function expectRecovery(key: string): Promise<void> {
    let first: Reply | undefined;
    await eventually(async () => (first = await pay(key)).status === 201, 10_000);
    expectReplay(first!, await pay(key));
  }

  it.each([
    ['killed', () => server.kill(), () => server.restart()],
    ['standing still', async () => server.pause(), async () => server.resume()],
    [
      'full',
      () => ask(server.port, 'CONFIG', 'SET', 'maxmemory', '1'),
      () => ask(server.port, 'CONFIG', 'SET', 'maxmemory', '0'),
    ],
  ])('answers 503 while it is %s, runs nothing, and recovers', async (_name, fail, recover) => {
    await expectRecovery('before');
    await fail();
    await expectUnavailable('during');
    await expectUnavailable('during');
    expect(runs).toBe(1);
    await recover();
    await expectRecovery('during');
    expect(runs).toBe(2);
  });

  it('sends the reply of a handler whose record cannot be written, and writes it later', async () => {
    let open = (): void => {};
    gate = new Promise((resolve) => (open = resolve));
    const handlerRuns = new Promise<void>((resolve) => (entered = resolve));
    const first = pay('late');
    await handlerRuns;
    server.pause();
    open();
    expect((await first).status).toBe(201);
    server.resume();
    await eventually(async () => (await client.get(await onlyKey()))?.includes('"run":1'));
    expectReplay(await first, await pay('late'));
    expect(runs).toBe(1);
  });

  async function onlyKey(): Promise<string> {
    const [key] = await client.keys('idempotency:*');
    return key!;
  }

  it('shuts down while it is gone', async () => {
    await expectRecovery('before');
    await server.kill();
    const startedAt = performance.now();
    await app.app.close();
    expect(performance.now() - startedAt).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
  });
});
