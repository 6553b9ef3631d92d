import { readConfig } from '../config.js';

/**
 * True when records are in the database of the shop, as they are unless `STORE` says otherwise.
 * Only then can a record and the work itself be one transaction, and `@Idempotent()` refuses to
 * boot with `transaction: true` elsewhere. An application with one store simply writes `true`.
 */
export const RECORDS_IN_DATABASE = readConfig().records.store === 'typeorm';
