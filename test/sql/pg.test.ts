import { PG } from './support/drivers.js';
import { describeEscapes } from './support/escapes.js';
import { describeTransactions } from './support/layer.js';
import { describeOperations } from './support/operations.js';

describeTransactions(PG);
describeOperations(PG);
describeEscapes(PG);
