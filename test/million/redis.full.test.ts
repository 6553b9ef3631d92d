import { describeMillion } from './redis-records.js';

describeMillion({ amount: 1_000_000, isTimed: true });
