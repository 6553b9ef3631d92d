import { recordOf, type NamedSabotage } from './sabotage.js';

export const SABOTAGES_OF_CLOCKS: readonly NamedSabotage[] = [
  [
    'the lease lasts as long as the ttl',
    5,
    (store) => ({
      acquire: (request) =>
        store.acquire({
          ...request,
          leaseMs: request.leaseMs + request.ttlMs,
          ttlMs: 0,
        }),
    }),
  ],
  [
    'the ttl is no longer than the lease',
    5,
    (store) => ({ acquire: (request) => store.acquire({ ...request, ttlMs: 0 }) }),
  ],
  [
    'the ttl counts from the claim',
    5,
    (store) => ({
      acquire: (request) =>
        store.acquire({
          ...request,
          ttlMs: Math.max(0, request.ttlMs - request.leaseMs),
        }),
    }),
  ],
  [
    'durations are cut to 32 bits',
    5,
    (store) => ({
      complete: (request) => store.complete({ ...request, ttlMs: request.ttlMs % 2 ** 32 }),
    }),
  ],
  [
    'leases are cut to 31 bits',
    5,
    (store) => ({
      acquire: (request) => store.acquire({ ...request, leaseMs: request.leaseMs % 2 ** 31 }),
    }),
  ],
  [
    'zero counts as the longest ttl',
    5,
    (store) => ({
      complete: (request) => store.complete({ ...request, ttlMs: request.ttlMs || 86_400_000 }),
    }),
  ],
  [
    'durations are rounded up to seconds',
    5,
    (store) => ({
      complete: (request) =>
        store.complete({ ...request, ttlMs: Math.ceil(request.ttlMs / 1000) * 1000 }),
    }),
  ],
  [
    'purge deletes lapsed claims',
    5,
    (store, clock) => ({
      purgeExpired: (limit) => {
        let purged = store.purgeExpired(limit);
        for (const record of store['records']['byId'].values()) {
          if (record.state !== 'in-flight' || record.isLeased(clock.now())) continue;
          store['records'].drop(record);
          purged += 1;
        }
        return purged;
      },
    }),
  ],
  ['purge ignores its limit', 5, (store) => ({ purgeExpired: () => store.purgeExpired(Infinity) })],
  [
    'a claim is kept for ever',
    5,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = recordOf(store, request.id);
        if (result.outcome === 'acquired' && record) store['records'].keepUntil(record, Infinity);
        return result;
      },
    }),
  ],
];
