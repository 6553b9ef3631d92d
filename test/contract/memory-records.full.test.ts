import { describeMemory } from './support/memory-records.js';

describeMemory(1_000_000);
