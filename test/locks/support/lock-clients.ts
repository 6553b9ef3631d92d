import { Etcd3 } from 'etcd3';
import { type Client, createClient } from 'node-zookeeper-client';
import type { LockService } from '../../../src/engine/lock-service.js';
import { etcdLocks } from '../../../src/etcd/index.js';
import { zookeeperLocks } from '../../../src/zookeeper/index.js';

/** A client of a lock service, as one process has. */
export interface LockClient {
  readonly locks: LockService;
  stop(): void;
}

export type LockServerName = 'etcd' | 'ZooKeeper';

/** @param leaseMs where the session decides, its timeout */
export function openLocks(name: LockServerName, port: number, leaseMs: number): LockClient {
  if (name === 'etcd') {
    const client = new Etcd3({ hosts: `http://127.0.0.1:${port}` });
    return { locks: etcdLocks({ client }), stop: () => client.close() };
  }
  let current: Client | undefined;
  const client = (): Client => {
    current = createClient(`127.0.0.1:${port}`, { sessionTimeout: leaseMs, spinDelay: 50 });
    current.connect();
    return current;
  };
  return { locks: zookeeperLocks({ client }), stop: () => current?.close() };
}
