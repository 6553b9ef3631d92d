import { describeSoak } from './describe.js';

const { SOAK_MINUTES = '0.5', SOAK_SEED = String(Date.now() % 1_000_000) } = process.env;

describeSoak(
  [
    { server: 'PostgreSQL', isTransaction: true },
    { server: 'MariaDB', isTransaction: true },
    { server: 'PostgreSQL', isTransaction: false },
    { server: 'MariaDB', isTransaction: false },
    { server: 'Redis', isTransaction: false },
  ],
  { processes: 5, ms: Number(SOAK_MINUTES) * 60_000, seed: Number(SOAK_SEED) },
);
