import { describeTable } from './support/table.js';

// The other rows are in table.full.test.ts.
for (const name of ['MQTT', 'gRPC'] as const) describeTable(name);
