import { describeMemory } from './support/memory-records.js';

// Enough that work which grows with the records is too slow.
describeMemory(100_000);
