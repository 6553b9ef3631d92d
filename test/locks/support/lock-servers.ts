import type { LockHarness, MortalLocks } from 'nestjs-idempotency/testing';
import type { LockService } from '../../../src/engine/lock-service.js';
import { startEtcd } from '../../support/servers/etcd.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { startZooKeeper } from '../../support/servers/zookeeper.js';
import { TcpProxy } from '../../support/tcp-proxy.js';
import { type LockClient, type LockServerName, openLocks } from './lock-clients.js';

const STARTS: Readonly<Record<LockServerName, () => Promise<PrivateServer>>> = {
  etcd: startEtcd,
  ZooKeeper: startZooKeeper,
};

export function startLockServer(name: LockServerName): Promise<PrivateServer> {
  return STARTS[name]();
}

/** What the contract needs, over a server; `stop` ends everything. */
export async function lockHarness(
  name: LockServerName,
  leaseMs: number,
): Promise<LockHarness & { stop(): Promise<void> }> {
  const server = await startLockServer(name);
  const proxies: TcpProxy[] = [];
  const clients: LockClient[] = [];
  const open = (port: number): LockService => {
    const client = openLocks(name, port, leaseMs);
    clients.push(client);
    return client.locks;
  };
  return {
    locks: open(server.port),
    other: open(server.port),
    leaseMs,
    mortal: async (): Promise<MortalLocks> => {
      const proxy = await TcpProxy.start(server.port);
      proxies.push(proxy);
      const cutOff = (): void => {
        proxy.swallowsRequests = true;
        proxy.swallowsReplies = true;
      };
      return { locks: open(proxy.port), cutOff };
    },
    stop: async () => {
      for (const client of clients) client.stop();
      for (const proxy of proxies) await proxy.stop();
      await server.stop();
    },
  };
}
