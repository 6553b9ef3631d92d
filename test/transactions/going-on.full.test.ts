import { MARIADB, PGLITE, POSTGRES } from '../support/sql-databases.js';
import { describeGoingOn } from './support/going-on.js';

describeGoingOn(POSTGRES);
describeGoingOn(MARIADB);
describeGoingOn(PGLITE);
