import type { Clock } from '../../src/engine/clock.js';
import { MemoryStore, type MemoryStoreOptions } from '../../src/stores/memory/index.js';
import { ManualClock } from '../../src/testing/index.js';

const REPLY = Buffer.alloc(200, 'r');

const claimOf = (id: string) => ({
  id,
  owner: `owner of ${id}`,
  fingerprint: 'fingerprint',
  leaseMs: 1000,
  ttlMs: 1000,
});

/** A memory store with its clock, and shorthands for what tests of its bounds do. */
export function memoryStore(options?: Omit<MemoryStoreOptions, 'clock'>) {
  return memoryStoreWith(new ManualClock(), options);
}

export function memoryStoreWith<C extends Clock>(
  clock: C,
  options: Omit<MemoryStoreOptions, 'clock'> = {},
) {
  const store = new MemoryStore({ ...options, clock });
  const acquire = (id: string) => store.acquire(claimOf(id));
  const complete = (id: string, reply: Uint8Array = REPLY) =>
    store.complete({ ...claimOf(id), reply });
  return {
    clock,
    store,
    claimOf,
    acquire,
    complete,
    /** A first call from begin to end. */
    finish: (id: string): void => {
      acquire(id);
      complete(id);
    },
    /** How long the queue of expiries is; it must be as long as there are records. */
    queued: () => store['records']['byExpiry'].size,
  };
}
