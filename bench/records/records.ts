import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import type { Store } from '../subjects.js';
import { memoryRecords } from './memory.js';
import type { Minimum } from './minimum.js';
import { postgresRecords } from './postgres.js';
import { redisRecords } from './redis.js';

/**
 * Short, so that old records go while new ones come, as in an application that runs for days; longer
 * than anything is under load at a stretch.
 */
export const TTL_MS = 30_000;

/** One place for records, for this library and for what is written by hand. */
export interface Records {
  readonly store: IdempotencyStore;
  readonly minimum: Minimum;
  close(): Promise<void>;
}

/** @param url of the server; nothing for the memory */
export async function openRecords(store: Store, url: string): Promise<Records> {
  switch (store) {
    case 'memory':
      return memoryRecords();
    case 'redis':
      return redisRecords(url);
    case 'postgres':
      return postgresRecords(url);
  }
}
