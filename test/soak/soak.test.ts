import { describeSoak } from './describe.js';

// Each store, and both ways to keep records in a database.
describeSoak(
  [
    { server: 'PostgreSQL', isTransaction: true },
    { server: 'MariaDB', isTransaction: false },
    { server: 'Redis', isTransaction: false },
  ],
  { processes: 3, ms: 3_000, seed: Date.now() % 1_000_000 },
);
