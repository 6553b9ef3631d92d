import { POSTGRES } from '../support/sql-databases.js';
import { describeAttempts } from './support/attempts.js';

describeAttempts(POSTGRES);
