import { storeContract } from 'nestjs-idempotency/testing';
import { TRAVELLING } from './support/it-keeps.js';
import { describeClusterContract } from './support/redis-cluster-contract.js';

/** The other driver keeps every case on a single server (redis.contract.test.ts). */
const WITH_EVERY_CASE = new Set(['ioredis 5']);

describeClusterContract((name) => (WITH_EVERY_CASE.has(name) ? storeContract : TRAVELLING));
