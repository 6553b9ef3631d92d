import { storeContract } from 'nestjs-idempotency/testing';
import { describeClusterContract } from './support/redis-cluster-contract.js';

describeClusterContract(() => storeContract);
