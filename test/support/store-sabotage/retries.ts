import type { AcquireResult } from '../../../src/engine/store.js';
import { erase, recordOf, type NamedSabotage } from './sabotage.js';

export const SABOTAGES_OF_RETRIES: readonly NamedSabotage[] = [
  [
    'a takeover begins again at attempt 1, without steps',
    6,
    (store, clock) => ({
      acquire: (request) => {
        const record = recordOf(store, request.id);
        const matches = record?.fingerprint === request.fingerprint;
        if (record?.state === 'in-flight' && matches && !record.isLeased(clock.now())) {
          erase(store, request.id);
        }
        return store.acquire(request);
      },
    }),
  ],
  [
    'release forgets the steps',
    6,
    (store) => ({
      release: (request) => {
        const answer = store.release(request);
        const record = recordOf(store, request.id);
        if (answer && record) record.steps = undefined;
        return answer;
      },
    }),
  ],
  [
    'a claim after a release counts as abandoned',
    6,
    (store) => ({ acquire: (request) => withResult(store.acquire(request), { abandoned: true }) }),
  ],
  [
    'an attempt that did not fail counts',
    6,
    (store) => ({ release: (request) => store.release({ ...request, isUncounted: false }) }),
  ],
  [
    'what an operator has released has no attempt left',
    6,
    (store) => ({
      release: (request) => {
        const before = recordOf(store, request.id)?.attempt;
        const isReleased = store.release(request);
        const record = recordOf(store, request.id);
        if (request.from === 'held' && record) record.attempt = before!;
        return isReleased;
      },
    }),
  ],
  [
    'an attempt that did not fail undoes the count',
    6,
    (store) => ({
      release: (request) => {
        const isReleased = store.release(request);
        const record = recordOf(store, request.id);
        if (request.isUncounted && isReleased && record !== undefined) record.attempt = 0;
        return isReleased;
      },
    }),
  ],
  [
    'the fencing token is the attempt number',
    6,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = recordOf(store, request.id);
        if (result.outcome !== 'acquired' || record === undefined) return result;
        record.fencingToken = result.attempt;
        return { ...result, fencingToken: result.attempt };
      },
    }),
  ],
  [
    'the fencing token is made of the time alone',
    6,
    (store) => ({
      acquire: (request) => store.acquire({ ...request, aboveToken: undefined }),
    }),
  ],
  [
    'what is forgotten takes the fencing token with it',
    6,
    (store) => ({
      forget: (id) => {
        const forgotten = store.forget(id);
        if (forgotten) store['lastFencingToken'] = Date.now() * 1_000;
        return forgotten;
      },
    }),
  ],
  [
    'a takeover gets a fencing token of its own time',
    6,
    (store) => ({
      acquire: (request) => {
        if (recordOf(store, request.id) && request.aboveToken === undefined)
          store['lastFencingToken'] = Date.now() * 1_000;
        return store.acquire(request);
      },
    }),
  ],
  [
    'a released record with steps takes other content',
    6,
    (store) => ({
      acquire: (request) => {
        const record = recordOf(store, request.id);
        if (record?.state === 'released') record.fingerprint = request.fingerprint;
        return store.acquire(request);
      },
    }),
  ],
  [
    'a completed record has no fencing token',
    6,
    (store) => ({
      complete: (request) => {
        const answer = store.complete(request);
        const record = recordOf(store, request.id);
        if (answer && record) record.fencingToken = 0;
        return answer;
      },
    }),
  ],
];

function withResult(result: AcquireResult, change: { readonly abandoned: boolean }): AcquireResult {
  return result.outcome === 'acquired' && result.attempt > 1 ? { ...result, ...change } : result;
}
