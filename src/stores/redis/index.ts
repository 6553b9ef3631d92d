export { RedisStore, type RedisStoreOptions } from './redis.store.js';
export type { IoredisClient } from './ioredis-connection.js';
export type {
  CommandOptions,
  NodeRedisClient,
  NodeRedisCluster,
  NodeRedisSentinel,
  NodeRedisSingle,
  NodeRedisSubscriber,
} from './node-redis-connection.js';
