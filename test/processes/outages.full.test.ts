import { describeOutages, KINDS } from './outages.js';

describeOutages(KINDS);
