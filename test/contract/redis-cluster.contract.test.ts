import { storeContract } from 'nestjs-idempotency/testing';
import { TRAVELLING } from './support/it-keeps.js';
import { describeClusterContract } from './support/redis-cluster-contract.js';

/** One client of each driver. */
const WITH_EVERY_CASE = new Set(['ioredis 5', 'node-redis 6 with a key prefix']);

describeClusterContract((name) => (WITH_EVERY_CASE.has(name) ? storeContract : TRAVELLING));
