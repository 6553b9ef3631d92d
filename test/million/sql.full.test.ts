import { describeMillion } from './sql-records.js';

describeMillion({ live: 1_000_000, expired: 500_000, batch: 1_000, isTimed: true });
