import { storeContract } from 'nestjs-idempotency/testing';
import { describeRedisContract } from './support/redis-contract.js';

describeRedisContract(() => storeContract);
