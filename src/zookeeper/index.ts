export type { ZooKeeperClient, ZooKeeperStat } from './zookeeper-client.js';
export { zookeeperLocks, type ZooKeeperLocksOptions } from './zookeeper-locks.js';
