export type {
  EtcdCallOptions,
  EtcdClient,
  EtcdKey,
  EtcdLease,
  EtcdPut,
  EtcdRange,
  EtcdWatchBuilder,
  EtcdWatcher,
} from './etcd-client.js';
export { etcdLocks, type EtcdLocksOptions } from './etcd-locks.js';
