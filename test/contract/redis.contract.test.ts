import { storeContract } from 'nestjs-idempotency/testing';
import { TRAVELLING } from './support/it-keeps.js';
import { describeRedisContract } from './support/redis-contract.js';

/** One client of each driver. */
const WITH_EVERY_CASE = new Set(['ioredis 5', 'node-redis 6']);

describeRedisContract((name) => (WITH_EVERY_CASE.has(name) ? storeContract : TRAVELLING));
