import { SEED } from '../support/seed.js';
import { describeSoak } from './describe.js';

// Both kinds of stores, and records and work in one transaction; every way on every server in the second tier.
describeSoak(
  [
    { server: 'PostgreSQL', isTransaction: true },
    { server: 'Redis', isTransaction: false },
  ],
  { processes: 3, ms: 3_000, seed: SEED },
);
