import { Cluster, Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createCluster } from 'redis';
import { main } from '../../src/cli/main.js';
import { bytes, claimIn } from '../support/engine.js';
import { eventually } from '../support/http.js';
import { type RedisCluster, startRedisCluster } from '../support/servers/redis-cluster.js';
import { type AppClient, AppNode, SLACK_MS, STORE_TIMEOUT_MS } from '../processes/support/nodes.js';

const FAILS_OVER_WITHIN_MS = 20_000;

const CLUSTER_CLIENTS: readonly {
  name: string;
  open: (ports: readonly number[]) => Promise<AppClient>;
}[] = [
  {
    name: 'ioredis',
    open: (ports) => {
      const client = new Cluster(ports.slice());
      client.on('error', () => undefined);
      return Promise.resolve({
        store: new RedisStore({ client }),
        close: () => client.disconnect(),
      });
    },
  },
  {
    name: 'node-redis',
    open: async (ports) => {
      const client = createCluster({
        rootNodes: ports.map((port) => ({ url: `redis://127.0.0.1:${port}` })),
      });
      client.on('error', () => undefined);
      await client.connect();
      return { store: new RedisStore({ client }), close: () => client.destroy() };
    },
  },
];

describe.each(CLUSTER_CLIENTS)('a node of a Cluster that dies, seen through $name', ({ open }) => {
  let cluster: RedisCluster;
  let node: AppNode;

  beforeAll(async () => {
    cluster = await startRedisCluster({ withReplica: true });
    node = new AppNode(await open(cluster.ports));
  }, 60_000);

  afterAll(async () => {
    await node?.close();
    await cluster?.stop();
  });

  /** A record that the first master, the one with a replica, keeps. */
  async function idOnFirst(name: string): Promise<string> {
    for (let i = 0; ; i++) {
      const id = `${name} ${i}`;
      if ((await cluster.ownerOf(`idempotency:${id}`)) === cluster.masters[0]) return id;
    }
  }

  it('is refused within the time-out, and goes on at its replica with what that one had', async () => {
    const [kept, fresh] = [await idOnFirst('kept'), await idOnFirst('fresh')];
    await claimIn(await node.begin({ id: kept })).complete(bytes('reply'));
    await cluster.replicated();

    await cluster.masters[0]!.kill();
    const refused = await node.ask({ id: fresh });
    expect(refused.told).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(refused.ms).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);

    await eventually(
      async () => (await node.ask({ id: kept })).told === 'replay reply',
      FAILS_OVER_WITHIN_MS,
    );
    await eventually(async () => (await node.ask({ id: fresh })).told === 'execute');
  }, 60_000);
});

describe('the command line on a Cluster with a password', () => {
  let cluster: RedisCluster;

  beforeAll(async () => {
    cluster = await startRedisCluster();
    for (const port of cluster.ports) {
      const admin = new Redis(port);
      await admin.config('SET', 'masterauth', 's3cret');
      await admin.config('SET', 'requirepass', 's3cret');
      admin.disconnect();
    }
  }, 60_000);

  afterAll(() => cluster?.stop());

  it('logs in to every node, not only to the one of the URL', async () => {
    const complained: string[] = [];
    const url = `redis://:s3cret@127.0.0.1:${cluster.ports[0]}`;
    const around = { environment: {}, folder: process.cwd(), print: () => undefined };
    for (const digit of '0123456789abcdef')
      await main(['show', digit.repeat(64), '--cluster', '--url', url], {
        ...around,
        complain: (line) => void complained.push(line),
      });
    expect(complained.filter((line) => !line.startsWith('There is no record'))).toEqual([]);
    expect(complained).toHaveLength(16);
  });
});
