import { PG } from './support/drivers.js';
import { describeRows } from './support/rows.js';

describeRows(PG);
