import { transactionContract } from 'nestjs-idempotency/testing';
import { MYSQL2 } from './support/drivers.js';
import { describeTransactions } from './support/layer.js';

/** How a lock is waited for is MySQL's own; the others in the second tier. */
describeTransactions(
  MYSQL2,
  transactionContract.filter(({ name }) => /without waiting|lets a claim wait/.test(name)),
);
