import { MYSQL2, PG } from './support/drivers.js';
import { describeEscapes } from './support/escapes.js';
import { describeLayer, describeTransactions } from './support/layer.js';
import { describeOperations } from './support/operations.js';

describeLayer(PG);
describeLayer(MYSQL2);
describeTransactions(MYSQL2);
describeOperations(MYSQL2);
describeEscapes(MYSQL2);
