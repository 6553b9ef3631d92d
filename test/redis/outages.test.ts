import { claimIn, bytes, textOf, told } from '../support/engine.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { ask, startRedis } from '../support/servers/redis.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { APP_CLIENTS, AppNode, SLACK_MS, STORE_TIMEOUT_MS } from './support/nodes.js';

const UNAVAILABLE = 'IDEMPOTENCY_STORE_UNAVAILABLE';
const IN_USE = 'IDEMPOTENCY_KEY_IN_USE';

describe.each(APP_CLIENTS)('an outage of Redis, seen through $name', ({ open, resends }) => {
  let server: PrivateServer;
  let proxy: TcpProxy;
  let node: AppNode;
  /** Another process, that reaches the server by a way of its own. */
  let other: AppNode;

  beforeEach(async () => {
    server = await startRedis();
    proxy = await TcpProxy.start(server.port);
    node = new AppNode(open(proxy.port));
    other = new AppNode(open(server.port));
    await expectRunsAndReplays('before');
  });

  afterEach(async () => {
    node.close();
    other.close();
    await proxy.stop();
    await server.stop();
  });

  async function expectRunsAndReplays(id: string, app = node): Promise<void> {
    await eventually(async () => {
      const beginning = await app.begin({ id });
      if (beginning.outcome === 'replay') return true;
      if (beginning.outcome !== 'execute') return false;
      await beginning.claim.complete(bytes(`reply of ${id}`));
      return true;
    }, 10_000);
    expect((await app.ask({ id })).told).toBe(`replay reply of ${id}`);
  }

  async function expectUnavailable(id: string): Promise<void> {
    const answer = await node.ask({ id });
    expect(answer.told).toBe(UNAVAILABLE);
    expect(answer.ms).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
  }

  it('refuses while the server is killed, and goes on when it is back, empty', async () => {
    await server.kill();
    await expectUnavailable('killed');
    await expectUnavailable('killed');
    await server.restart();
    await expectRunsAndReplays('killed');
    await expectRunsAndReplays('before');
  });

  it('refuses while the server stands still, and gives back the claim it made too late', async () => {
    server.pause();
    await expectUnavailable('paused');
    server.resume();
    await eventually(async () => (await other.store.find('paused'))?.state === 'released');
    await eventually(() => node.engine.isIdle);
    await expectRunsAndReplays('paused');
  });

  it('tells the owner of a claim that the server forgot', async () => {
    const claim = claimIn(await node.begin({ id: 'forgotten', leaseMs: 900 }));
    await server.restart();
    await eventually(() => claim.signal.aborted, 10_000);
    expect(node.events.map(({ type }) => type)).toContain('lease-lost');
  });

  it('records in the background what it could not record at once', async () => {
    const claim = claimIn(await node.begin({ id: 'deferred' }));
    server.pause();
    expect(await claim.complete(bytes('reply'))).toEqual({ outcome: 'deferred' });
    expect((await node.ask({ id: 'deferred' })).told).toBe('replay reply');
    server.resume();
    await eventually(async () => (await other.ask({ id: 'deferred' })).told === 'replay reply');
    await eventually(() => node.engine.isIdle);
  });

  it.each(['before', 'after'] as const)(
    'has one owner at most when the connection is cut %s the claim was executed',
    async (cut) => {
      const sprung = proxy.cutAt('evalsha', cut);
      const [beginning] = await Promise.all([node.begin({ id: 'cut' }), sprung]);
      expect(told(beginning)).toBe(resends ? 'execute' : UNAVAILABLE);
      // Sent again by the client, the claim is still the same one: nobody else may have it.
      const [elsewhere, settled] = resends
        ? [
            (await other.ask({ id: 'cut' })).told,
            (await claimIn(beginning).complete(bytes('reply of cut'))).outcome,
          ]
        : [];
      expect([elsewhere, settled]).toEqual(resends ? [IN_USE, 'stored'] : [undefined, undefined]);
      await expectRunsAndReplays('cut', other);
    },
  );

  it.each(['before', 'after'] as const)(
    'keeps the reply when the connection is cut %s it was recorded',
    async (cut) => {
      const claim = claimIn(await node.begin({ id: 'cut' }));
      const sprung = proxy.cutAt('evalsha', cut);
      const [{ outcome }] = await Promise.all([claim.complete(bytes('reply')), sprung]);
      expect(['stored', 'deferred']).toContain(outcome);
      await eventually(async () => (await other.ask({ id: 'cut' })).told === 'replay reply');
      await eventually(() => node.engine.isIdle);
    },
  );

  it('gives back a claim whose answer never came', async () => {
    // The server knows the script: that it does not, would be swallowed as well.
    await claimIn(await node.begin({ id: 'known' })).release();
    proxy.swallowsReplies = true;
    await expectUnavailable('swallowed');
    await eventually(async () => (await other.store.find('swallowed'))?.state === 'released');
    proxy.swallowsReplies = false;
    proxy.cutAll();
    await expectRunsAndReplays('swallowed');
  });

  it('refuses when answers take longer than the time-out, and runs nothing', async () => {
    proxy.delayMs = STORE_TIMEOUT_MS + 300;
    await expectUnavailable('slow');
    proxy.delayMs = 0;
    await eventually(() => node.engine.isIdle);
    expect(node.events.filter(({ type, id }) => type === 'claimed' && id === 'slow')).toEqual([]);
    await expectRunsAndReplays('slow');
  });

  it('does not notice that scripts were flushed', async () => {
    const claim = claimIn(await node.begin({ id: 'flushed' }));
    await ask(server.port, 'SCRIPT', 'FLUSH');
    expect(await claim.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
    expect((await node.ask({ id: 'flushed' })).told).toBe('replay reply');
  });

  it('refuses from the first call on when the server was never there', async () => {
    await server.kill();
    const early = new AppNode(open(server.port));
    try {
      const warnings: string[] = [];
      const [answer] = await Promise.all([
        early.ask({ id: 'early' }),
        early.store.start((warning) => warnings.push(warning)),
      ]);
      expect(answer.told).toBe(UNAVAILABLE);
      expect(answer.ms).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
      expect(warnings).toEqual([expect.stringMatching(/could not be asked.*refused until/)]);
      await server.restart();
      await eventually(() => early.engine.isIdle);
      await expectRunsAndReplays('early', early);
      expect(textOf((await early.store.find('early'))!.reply!)).toBe('reply of early');
    } finally {
      early.close();
    }
  });

  it('closes at once while a duplicate waits and the server is gone', async () => {
    const claim = claimIn(await other.begin({ id: 'closing' }));
    const waiting = node.ask({ id: 'closing', waitMs: 300 });
    await server.kill();
    node.store.close();
    expect([UNAVAILABLE, IN_USE]).toContain((await waiting).told);
    await claim.release();
  });
});
