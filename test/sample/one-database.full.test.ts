import { DATABASE_KINDS } from './support/databases.js';
import { describeOneDatabase } from './support/one-database.js';

DATABASE_KINDS.filter(({ type }) => type !== 'postgres').forEach(describeOneDatabase);
