import { MARIADB, PGLITE, SQLITE } from '../support/sql-databases.js';
import { describeOneTransaction } from './support/one-transaction.js';

// With the first tier's: every database on every platform.
describeOneTransaction(MARIADB, 'fastify');
describeOneTransaction(PGLITE, 'express');
describeOneTransaction(SQLITE, 'fastify');
