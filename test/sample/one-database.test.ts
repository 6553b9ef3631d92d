import { DATABASE_KINDS } from './support/databases.js';
import { describeOneDatabase } from './support/one-database.js';

describeOneDatabase(DATABASE_KINDS.find(({ type }) => type === 'postgres')!);
