import { describeMillion } from './sql-records.js';

// What a call looks at is counted: with these as with a million, a scan is more than is allowed.
describeMillion({ live: 10_000, expired: 5_000, batch: 100, isTimed: false });
