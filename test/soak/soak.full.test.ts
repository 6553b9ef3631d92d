import { SEED } from '../support/seed.js';
import { describeSoak } from './describe.js';

const { SOAK_MINUTES = '0.5' } = process.env;

describeSoak(
  [
    { server: 'PostgreSQL', isTransaction: true },
    { server: 'MariaDB', isTransaction: true },
    { server: 'PostgreSQL', isTransaction: false },
    { server: 'MariaDB', isTransaction: false },
    { server: 'Redis', isTransaction: false },
  ],
  { processes: 5, ms: Number(SOAK_MINUTES) * 60_000, seed: SEED },
);
