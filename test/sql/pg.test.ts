import { PG } from './support/drivers.js';
import { describeTransactions } from './support/layer.js';
import { describeOperations } from './support/operations.js';

describeTransactions(PG);
describeOperations(PG);
