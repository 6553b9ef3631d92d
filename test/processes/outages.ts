import { claimIn, bytes, told } from '../support/engine.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { APP_CLIENTS } from '../redis/support/clients.js';
import { type AppClient, AppNode, SLACK_MS, STORE_TIMEOUT_MS } from './support/nodes.js';
import { openStore } from './support/open-store.js';
import { REDIS, type SharedServer, SQL_SERVERS } from './support/servers.js';

const UNAVAILABLE = 'IDEMPOTENCY_STORE_UNAVAILABLE';
const IN_USE = 'IDEMPOTENCY_KEY_IN_USE';

export interface Kind {
  readonly name: string;
  readonly server: SharedServer;
  open(port: number): AppClient | Promise<AppClient>;
  /** Sends commands again that were on their way when the connection broke. */
  readonly resends: boolean;
  /** Part of every request of the store, and of no other. */
  readonly word: string;
}

/** Each client of Redis, and each database. */
export const KINDS: readonly Kind[] = [
  ...APP_CLIENTS.map((client) => ({ ...client, server: REDIS, word: 'evalsha' })),
  ...SQL_SERVERS.map((server) => ({
    name: 'TypeORM',
    server,
    resends: false,
    // Of the table's name, and of the names of prepared statements.
    word: 'idempotency_',
    open: (port: number) => openStore(server.name, port),
  })),
];

export function describeOutages(rows: readonly Kind[]): void {
  describe.each(rows)('an outage of $server.name, seen through $name', (kind) => {
    const { open, resends, word } = kind;
    let server: PrivateServer;
    let proxy: TcpProxy;
    let node: AppNode;
    /** Another process, that reaches the server by a way of its own. */
    let other: AppNode;

    beforeAll(async () => {
      server = await kind.server.start();
    }, 60_000);

    beforeEach(async () => {
      proxy = await TcpProxy.start(server.port);
      node = new AppNode(await open(proxy.port));
      other = new AppNode(await open(server.port));
      await expectRunsAndReplays('before');
    });

    afterEach(async () => {
      await node.close();
      await other.close();
      await proxy.stop();
    });

    afterAll(() => server?.stop());

    async function expectRunsAndReplays(id: string, app = node): Promise<void> {
      await eventually(async () => {
        const beginning = await app.begin({ id });
        if (beginning.outcome === 'replay') return true;
        if (beginning.outcome !== 'execute') return false;
        await beginning.claim.complete(bytes(`reply of ${id}`));
        return true;
      });
      expect((await app.ask({ id })).told).toBe(`replay reply of ${id}`);
    }

    async function expectUnavailable(id: string): Promise<void> {
      const answer = await node.ask({ id });
      expect(answer.told).toBe(UNAVAILABLE);
      expect(answer.ms).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
    }

    it('refuses while the server is killed, and goes on when it is back', async () => {
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

    it('tells the owner of a claim that the server forgot, and goes on when it is set up again', async () => {
      const claim = claimIn(await node.begin({ id: 'forgotten', leaseMs: 900 }));
      await kind.server.restartEmpty(server);
      await eventually(() => claim.signal.aborted);
      expect(node.events.map(({ type }) => type)).toContain('lease-lost');
      if (kind.server.name !== 'Redis') await expectUnavailable('without a table');
      await kind.server.setUp(server);
      await expectRunsAndReplays('before');
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
        const id = `claimed, cut ${cut}`;
        const sprung = proxy.cutAt(word, cut);
        const [beginning] = await Promise.all([node.begin({ id }), sprung]);
        expect(told(beginning)).toBe(resends ? 'execute' : UNAVAILABLE);
        // Sent again by the client, the claim is still the same one: nobody else may have it.
        const [elsewhere, settled] = resends
          ? [
              (await other.ask({ id })).told,
              (await claimIn(beginning).complete(bytes(`reply of ${id}`))).outcome,
            ]
          : [];
        expect([elsewhere, settled]).toEqual(resends ? [IN_USE, 'stored'] : [undefined, undefined]);
        await expectRunsAndReplays(id, other);
      },
    );

    it.each(['before', 'after'] as const)(
      'keeps the reply when the connection is cut %s it was recorded',
      async (cut) => {
        const id = `completed, cut ${cut}`;
        const claim = claimIn(await node.begin({ id }));
        const sprung = proxy.cutAt(word, cut);
        const [{ outcome }] = await Promise.all([claim.complete(bytes('reply')), sprung]);
        expect(['stored', 'deferred']).toContain(outcome);
        await eventually(async () => (await other.ask({ id })).told === 'replay reply');
        await eventually(() => node.engine.isIdle);
      },
    );

    it('gives back a claim whose answer never came', async () => {
      // As after a while: scripts are known, and there is a connection that nothing waits on.
      await claimIn(await node.begin({ id: 'known' })).release();
      await Promise.all(['one', 'two'].map(async (id) => node.store.find(id)));
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

    it('closes at once while a duplicate waits and the server is gone', async () => {
      const claim = claimIn(await other.begin({ id: 'closing' }));
      const waiting = node.ask({ id: 'closing', waitMs: 300 });
      await server.kill();
      await node.store.close?.();
      expect([UNAVAILABLE, IN_USE]).toContain((await waiting).told);
      await server.restart();
      await claim.release();
    });
  });
}
