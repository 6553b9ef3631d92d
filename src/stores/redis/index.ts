export { RedisStore, type RedisStoreOptions } from './redis.store.js';
export type { IoredisClient } from './ioredis-connection.js';
export type { NodeRedisClient } from './node-redis-connection.js';
