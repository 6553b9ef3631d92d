import { MemoryStore } from 'nestjs-idempotency';
import type { AcquireResult, ClaimRef, IdempotencyStore } from 'nestjs-idempotency/contracts';
import type { Random } from '../../support/random.js';

/** Puts one fault into a good store: the verbs it returns replace those of the store. */
type Fault = (store: IdempotencyStore, random: Random, memory: Memory) => Partial<IdempotencyStore>;

/** What a faulty store knows beside its records. */
interface Memory {
  /** By id: who owns the record at present. */
  readonly owners: Map<string, string>;
}

/** Faults that histories must show, and what the checker says of each. */
export const FAULTS: readonly (readonly [name: string, said: RegExp, fault: Fault])[] = [
  [
    'a stale owner completes',
    /complete of .* was carried out after|two replies|the reply of/,
    (store, _random, { owners }) => ({
      complete: (request) =>
        store.complete({ ...request, owner: owners.get(request.id) ?? request.owner }),
    }),
  ],
  [
    'a stale owner renews',
    /extend of .* was carried out after/,
    (store, _random, { owners }) => ({
      extend: (request) =>
        store.extend({ ...request, owner: owners.get(request.id) ?? request.owner }),
    }),
  ],
  [
    'a live lease is taken over now and then',
    /claimed while .* was alive/,
    (store, random, { owners }) => ({
      acquire: async (request) => {
        const owner = owners.get(request.id);
        if (owner !== undefined && random.isBelow(0.05)) await release(store, request.id, owner);
        return store.acquire(request);
      },
    }),
  ],
  [
    'a renewal is confirmed and not carried out',
    /claimed while .* was alive/,
    (_store, _random, { owners }) => ({
      extend: ({ id, owner }) => owners.get(id) === owner,
    }),
  ],
  [
    'steps are lost now and then',
    /step .* is missing/,
    (store, random) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        const isLost = answer.outcome === 'acquired' && random.isBelow(0.2);
        return isLost ? { ...answer, steps: new Map() } : answer;
      },
    }),
  ],
  ['fencing tokens go back', /fencing token/, shaken('fencingToken')],
  ['attempts are counted wrongly', /attempt .* is followed by/, shaken('attempt')],
  [
    'a completed record runs again now and then',
    /completed by .* was told: acquired/,
    (store, random) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        if (answer.outcome !== 'completed' || !random.isBelow(0.1)) return answer;
        await store.forget(request.id);
        return store.acquire(request);
      },
    }),
  ],
  [
    'a held record runs again now and then',
    /held by .* claimed by/,
    (store, random, { owners }) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        if (answer.outcome !== 'held' || !random.isBelow(0.2)) return answer;
        const owner = owners.get(request.id) ?? '';
        await store.release({ id: request.id, owner, ttlMs: 600_000, from: 'held' });
        return store.acquire(request);
      },
    }),
  ],
  [
    'other replies are given now and then',
    /two replies|the reply of/,
    (store, random) => ({
      acquire: async (request) => {
        const answer = await store.acquire(request);
        const isOther = answer.outcome === 'completed' && random.isBelow(0.2);
        return isOther ? { ...answer, reply: Buffer.from('another reply') } : answer;
      },
    }),
  ],
  [
    'content is not compared',
    /has other content, and was told/,
    (store) => ({ acquire: (request) => store.acquire({ ...request, fingerprint: '' }) }),
  ],
];

/** A memory store with the fault in it. */
export function faultyStore(fault: Fault, random: Random): IdempotencyStore {
  const store = new MemoryStore();
  const owners = new Map<string, string>();
  const verbs: IdempotencyStore = {
    acquire: (request) => store.acquire(request),
    extend: (request) => store.extend(request),
    complete: (request) => store.complete(request),
    release: (request) => store.release(request),
    hold: (request) => store.hold(request),
    saveStep: (request) => store.saveStep(request),
    issue: (request) => store.issue(request),
    find: (id) => store.find(id),
    forget: (id) => store.forget(id),
    ...fault(store, random, { owners }),
  };
  return {
    ...verbs,
    acquire: async (request) => {
      const answer = await verbs.acquire(request);
      if (answer.outcome === 'acquired') owners.set(request.id, request.owner);
      return answer;
    },
  };
}

function release(store: IdempotencyStore, id: ClaimRef['id'], owner: string) {
  return store.release({ id, owner, ttlMs: 600_000 });
}

/** A number that grows is sometimes less than it was. */
function shaken(what: 'fencingToken' | 'attempt'): Fault {
  return (store, random) => ({
    acquire: async (request): Promise<AcquireResult> => {
      const answer = await store.acquire(request);
      if (answer.outcome !== 'acquired' || !random.isBelow(0.3)) return answer;
      return { ...answer, [what]: answer[what] - 5 };
    },
  });
}
