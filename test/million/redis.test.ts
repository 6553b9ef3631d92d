import { describeMillion } from './redis-records.js';

describeMillion({ amount: 20_000, isTimed: false });
