export { ShardedStore, shardedStore, type ShardedStoreOptions } from './sharded.store.js';
