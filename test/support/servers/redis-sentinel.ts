import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from '../http.js';
import { PrivateServer, type ServerRecipe } from './private-server.js';
import { ask, redisRecipe, startRedis } from './redis.js';

const SENTINELS = 3;
const READY_WITHIN_MS = 30_000;
/** By this name clients ask for the primary. */
export const PRIMARY_NAME = 'shop';

/** A primary, its replica, and Sentinels that make the one the other's successor. */
export interface RedisSentinel {
  readonly primary: PrivateServer;
  /** Where the Sentinels are. */
  readonly addresses: readonly { readonly host: string; readonly port: number }[];
  /** Resolves when the replica has what the primary has. */
  replicated(): Promise<void>;
  stop(): Promise<void>;
}

export async function startRedisSentinel(): Promise<RedisSentinel> {
  const servers: PrivateServer[] = [];
  const started = async (starting: Promise<PrivateServer>): Promise<PrivateServer> => {
    const server = await starting;
    servers.push(server);
    return server;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(servers.map((server) => server.stop()));
  };
  try {
    const primary = await started(startRedis('--repl-diskless-sync-delay', '0'));
    const replica = await started(startRedis('--replicaof', '127.0.0.1', String(primary.port)));
    await eventually(
      async () => (await ask(replica.port, 'INFO', 'replication')).includes('link_status:up'),
      READY_WITHIN_MS,
    );
    const sentinels = await Promise.all(
      Array.from({ length: SENTINELS }, () => started(PrivateServer.start(watching(primary.port)))),
    );
    for (const { port } of sentinels) await eventually(() => isReady(port), READY_WITHIN_MS);
    return {
      primary,
      addresses: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })),
      async replicated() {
        const written = await offset(primary.port);
        await eventually(async () => (await offset(replica.port)) >= written, READY_WITHIN_MS);
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** A Sentinel, which writes what it learns into its configuration. */
function watching(primaryPort: number): ServerRecipe {
  const file = (folder: string): string => join(folder, 'sentinel.conf');
  return {
    ...redisRecipe(),
    name: 'sentinel',
    prepare: (folder) => {
      const lines = [
        'bind 127.0.0.1',
        `sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${primaryPort} 2`,
        `sentinel down-after-milliseconds ${PRIMARY_NAME} 1000`,
        `sentinel failover-timeout ${PRIMARY_NAME} 10000`,
      ];
      writeFileSync(file(folder), `${lines.join('\n')}\n`);
      return Promise.resolve();
    },
    command: (folder, port) => [
      'redis-server',
      file(folder),
      '--sentinel',
      '--port',
      String(port),
      '--dir',
      folder,
    ],
  };
}

/** It knows the replica, and enough of the other Sentinels to agree with. */
async function isReady(port: number): Promise<boolean> {
  const quorum = await ask(port, 'SENTINEL', 'CKQUORUM', PRIMARY_NAME);
  const primary = await ask(port, 'SENTINEL', 'MASTER', PRIMARY_NAME);
  const field = (name: string): string | undefined =>
    new RegExp(`\\b${name}\\r\\n\\$\\d+\\r\\n(.*)\\r\\n`).exec(primary)?.[1];
  return (
    quorum.startsWith('+OK') &&
    field('num-slaves') === '1' &&
    field('num-other-sentinels') === String(SENTINELS - 1)
  );
}

/** A place in the stream of what is replicated. */
async function offset(port: number): Promise<number> {
  const replication = await ask(port, 'INFO', 'replication');
  const isReplica = replication.includes('role:slave');
  const name = isReplica ? 'slave_repl_offset' : 'master_repl_offset';
  return Number(new RegExp(`\\b${name}:(\\d+)`).exec(replication)?.[1]);
}
