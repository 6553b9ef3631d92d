import { describeInProcess } from './in-process.js';
import { KINDS } from './kinds.js';

describeInProcess(KINDS);
