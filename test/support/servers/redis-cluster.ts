import { Redis } from 'ioredis';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, onFreePorts, PrivateServer } from './private-server.js';
import { redisRecipe } from './redis.js';

const SLOTS = 16_384;
const MASTERS = 3;
const NODE_TIMEOUT_MS = 1_000;
const FORMS_WITHIN_MS = 30_000;

/** Three masters that share the slots in equal parts, and no replica unless one was asked for. */
export interface RedisCluster {
  readonly masters: readonly PrivateServer[];
  readonly ports: readonly number[];
  /** Follows the first master. */
  readonly replica: PrivateServer | undefined;
  /** The master that the key belongs to. */
  ownerOf(key: string): Promise<PrivateServer>;
  /** Resolves when the replica has what the first master has. */
  replicated(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisCluster({ withReplica = false } = {}): Promise<RedisCluster> {
  const nodes = await Promise.all(
    Array.from({ length: MASTERS + (withReplica ? 1 : 0) }, () => onFreePorts(startNode)),
  );
  // Nothing is left to be said when they disconnect, so that nothing is waited for.
  const admins = nodes.map(({ server }) => new Redis(server.port, { disconnectTimeout: 0 }));
  const [first] = admins as [Redis];
  const masters = nodes.slice(0, MASTERS).map(({ server }) => server);
  const stop = async (): Promise<void> => {
    admins.forEach((admin) => admin.disconnect());
    await Promise.all(nodes.map(({ server }) => server.stop()));
  };
  try {
    await form(nodes, admins);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    masters,
    ports: masters.map(({ port }) => port),
    replica: nodes[MASTERS]?.server,
    async ownerOf(key) {
      const alive = admins.find(({ status }) => status === 'ready') ?? first;
      const slot = Number(await alive.cluster('KEYSLOT', key));
      return masters[Math.floor((slot * MASTERS) / SLOTS)]!;
    },
    async replicated() {
      const written = offset(await first.info('replication'), 'master_repl_offset:');
      await everyNode(
        [first],
        async () => offset(await first.info('replication'), 'slave0:.*offset=') >= written,
      );
    },
    stop,
  };
}

interface Node {
  readonly server: PrivateServer;
  /** Of the bus; by itself a node would take its own port plus 10 000, which may be past the last. */
  readonly busPort: number;
}

async function startNode(): Promise<Node> {
  const busPort = await freePort();
  const server = await PrivateServer.start(
    redisRecipe(
      '--cluster-enabled',
      'yes',
      '--cluster-port',
      String(busPort),
      '--cluster-node-timeout',
      String(NODE_TIMEOUT_MS),
    ),
  );
  return { server, busPort };
}

async function form(nodes: readonly Node[], admins: readonly Redis[]): Promise<void> {
  const [first] = nodes as [Node];
  for (const [index, admin] of admins.entries()) {
    await admin.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
    if (index < MASTERS) await admin.call('CLUSTER', 'ADDSLOTSRANGE', ...slotsOf(index));
    await admin.call('CLUSTER', 'MEET', '127.0.0.1', first.server.port, first.busPort);
  }
  await everyNode(admins, async (admin) => {
    const info = String(await admin.cluster('INFO'));
    return (
      info.includes('cluster_state:ok') && info.includes(`cluster_known_nodes:${nodes.length}`)
    );
  });
  const replica = admins[MASTERS];
  if (replica === undefined) return;
  await replica.call('CLUSTER', 'REPLICATE', String(await admins[0]!.cluster('MYID')));
  await everyNode([replica], async () =>
    (await replica.info('replication')).includes('master_link_status:up'),
  );
  // A client that asks too early is not told of the replica.
  await everyNode(admins, async (admin) =>
    /\bslave\b.*\bconnected\b/.test(String(await admin.cluster('NODES'))),
  );
}

/** A place in the stream of what is replicated. */
function offset(replication: string, name: string): number {
  return Number(new RegExp(`^${name}(\\d+)`, 'm').exec(replication)?.[1]);
}

/** The first and the last slot of a master. */
function slotsOf(index: number): [first: number, last: number] {
  return [Math.ceil((index * SLOTS) / MASTERS), Math.ceil(((index + 1) * SLOTS) / MASTERS) - 1];
}

async function everyNode(
  admins: readonly Redis[],
  isReady: (admin: Redis) => Promise<boolean>,
): Promise<void> {
  const giveUpAt = Date.now() + FORMS_WITHIN_MS;
  for (const admin of admins) {
    while (!(await isReady(admin))) {
      if (Date.now() > giveUpAt) throw new Error('The Redis Cluster did not form.');
      await sleep(50);
    }
  }
}
