import { MARIADB, PGLITE, SQLITE } from '../support/sql-databases.js';
import { describeAttempts } from './support/attempts.js';

describeAttempts(MARIADB);
describeAttempts(SQLITE);
describeAttempts(PGLITE);
