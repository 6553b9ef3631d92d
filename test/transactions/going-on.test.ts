import { SQLITE } from '../support/sql-databases.js';
import { describeGoingOn } from './support/going-on.js';

describeGoingOn(SQLITE);
