import type { AcquireRequest, AcquireResult, ClaimLimits } from '../../../src/engine/store.js';
import type { MemoryStore } from '../../../src/stores/memory/index.js';
import { erase, type NamedSabotage } from './sabotage.js';

/** Every bucket is this one. */
const ONE_FOR_ALL = '0'.repeat(64);

/** The store with other limits than it is asked to keep. */
const limiting =
  (store: MemoryStore, limitsOf: (limits: ClaimLimits) => ClaimLimits) =>
  (request: AcquireRequest): AcquireResult =>
    store.acquire({ ...request, limits: request.limits && limitsOf(request.limits) });

export const SABOTAGES_OF_LIMITS: readonly NamedSabotage[] = [
  [
    'claims in flight are not limited',
    9,
    (store) => ({ acquire: limiting(store, (limits) => ({ ...limits, inFlight: undefined })) }),
  ],
  [
    'new keys are not limited',
    9,
    (store) => ({ acquire: limiting(store, (limits) => ({ ...limits, newKeys: undefined })) }),
  ],
  [
    'one claim more may be in flight than the limit says',
    9,
    (store) => ({
      acquire: limiting(store, ({ inFlight, ...limits }) => ({
        ...limits,
        inFlight: inFlight && inFlight + 1,
      })),
    }),
  ],
  [
    'a claim still counts when its lease has run out',
    9,
    (store) => {
      const counted = new Map<string, Set<string>>();
      return {
        acquire: (request) => {
          const { bucket = '', id, limits } = request;
          const alive = [...(counted.get(bucket) ?? [])].filter(
            (other) => store.find(other)?.state === 'in-flight',
          );
          if (store.find(id) === undefined && alive.length >= (limits?.inFlight ?? Infinity))
            return { outcome: 'limited', limit: 'inFlight', retryAfterMs: 0 };
          const result = store.acquire(request);
          if (result.outcome === 'acquired') counted.set(bucket, new Set([...alive, id]));
          return result;
        },
      };
    },
  ],
  [
    'a claim no longer counts when it was renewed',
    9,
    (store) => ({
      extend: (request) => {
        const isExtended = store.extend(request);
        const record = store['records'].get(request.id);
        if (record) store['buckets'].leave(record);
        return isExtended;
      },
    }),
  ],
  [
    'all callers are one',
    9,
    (store) => ({
      acquire: (request) =>
        store.acquire(request.bucket === undefined ? request : { ...request, bucket: ONE_FOR_ALL }),
    }),
  ],
  [
    'what was claimed before is limited too',
    9,
    (store) => ({
      acquire: (request) => {
        const elsewhere = store.acquire({ ...request, id: `${request.id.slice(0, -4)}beef` });
        if (elsewhere.outcome === 'limited') return elsewhere;
        erase(store, `${request.id.slice(0, -4)}beef`);
        return store.acquire(request);
      },
    }),
  ],
  [
    'a retry is a new key',
    9,
    (store, clock) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = store['records'].get(request.id);
        if (result.outcome === 'acquired' && result.attempt > 1 && record)
          store['buckets'].enter(record, request, true, clock.now());
        return result;
      },
    }),
  ],
  [
    'the window is told to have room too late',
    9,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        return result.outcome === 'limited'
          ? { ...result, retryAfterMs: result.retryAfterMs + (request.limits?.windowMs ?? 0) }
          : result;
      },
    }),
  ],
  [
    'a claim that is refused leaves its record behind',
    9,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        if (result.outcome === 'limited')
          store.acquire({ ...request, bucket: undefined, limits: undefined });
        return result;
      },
    }),
  ],
];
