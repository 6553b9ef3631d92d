import { describeTable } from './support/table.js';

// The other rows are in table.test.ts.
for (const name of ['TCP', 'NATS', 'Redis'] as const) describeTable(name);
