import type { RedisStore } from 'nestjs-idempotency/redis';
import { bytes, claimIn } from '../support/engine.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { ask, startRedis } from '../support/servers/redis.js';
import { AppNode, SLACK_MS, STORE_TIMEOUT_MS } from '../processes/support/nodes.js';
import { APP_CLIENTS } from './support/clients.js';

describe.each(APP_CLIENTS)('RedisStore on $name', ({ open }) => {
  let server: PrivateServer;
  let node: AppNode<RedisStore>;

  beforeEach(async () => {
    server = await startRedis();
  });

  afterEach(async () => {
    await node.close();
    await server.stop();
  });

  it('does not notice that scripts were flushed', async () => {
    node = new AppNode(open(server.port));
    const claim = claimIn(await node.begin({ id: 'flushed' }));
    await ask(server.port, 'SCRIPT', 'FLUSH');
    expect(await claim.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
    expect((await node.ask({ id: 'flushed' })).told).toBe('replay reply');
  });

  it('refuses from the first call on when the server was never there', async () => {
    await server.kill();
    node = new AppNode(open(server.port));
    const warnings: string[] = [];
    const [answer] = await Promise.all([
      node.ask({ id: 'early' }),
      node.store.start((warning) => warnings.push(warning)),
    ]);
    expect(answer.told).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(answer.ms).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
    expect(warnings).toEqual([expect.stringMatching(/could not be checked.*refused until/)]);
    await server.restart();
    await eventually(() => node.engine.isIdle);
    await claimIn(await node.begin({ id: 'early' })).complete(bytes('reply'));
    expect((await node.ask({ id: 'early' })).told).toBe('replay reply');
  });
});
