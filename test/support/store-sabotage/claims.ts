import { erase, recordOf, type NamedSabotage } from './sabotage.js';

export const SABOTAGES_OF_CLAIMS: readonly NamedSabotage[] = [
  [
    'acquire reads, waits, then writes',
    1,
    (store) => ({
      acquire: async (request) => {
        const before = store.find(request.id);
        await Promise.resolve();
        if (before === undefined) erase(store, request.id);
        return store.acquire(request);
      },
    }),
  ],
  [
    'a takeover reads, waits, then writes',
    1,
    (store) => ({
      acquire: async (request) => {
        const before = store.find(request.id);
        await Promise.resolve();
        const record = recordOf(store, request.id);
        const mayTakeOver = before?.state === 'in-flight' && (before.leaseRemainingMs ?? 0) <= 0;
        if (mayTakeOver && record) record.leaseEndsAt = -1;
        return store.acquire(request);
      },
    }),
  ],
  [
    'a live lease is taken over',
    1,
    (store) => ({
      acquire: (request) => {
        const record = recordOf(store, request.id);
        if (record) record.leaseEndsAt = -1;
        return store.acquire(request);
      },
    }),
  ],
  [
    'a lapsed lease is not taken over',
    1,
    (store, clock) => ({
      acquire: (request) => {
        const record = recordOf(store, request.id);
        if (record?.state === 'in-flight' && !record.isLeased(clock.now())) {
          return { outcome: 'in-flight', leaseRemainingMs: 0 };
        }
        return store.acquire(request);
      },
    }),
  ],
  [
    'an expired record that was not purged is still there',
    1,
    (store, clock) => ({
      acquire: (request) => {
        const record = recordOf(store, request.id);
        const isExpired = record !== undefined && record.expiresAt <= clock.now();
        if (isExpired) store['records'].keepUntil(record, Infinity);
        return store.acquire(request);
      },
    }),
  ],
  [
    'mustBeIssued is ignored',
    1,
    (store) => ({ acquire: (request) => store.acquire({ ...request, mustBeIssued: false }) }),
  ],
  [
    'issue overwrites what is there',
    1,
    (store) => ({
      issue: (request) => {
        erase(store, request.id);
        return store.issue(request);
      },
    }),
  ],
  ['watch never wakes', 1, () => ({ watch: () => () => {} })],
  [
    'a watch wakes when it begins, and never again',
    1,
    () => ({
      watch: (_id, onChange) => {
        queueMicrotask(onChange);
        return () => {};
      },
    }),
  ],
  [
    'complete makes room for the reply before it writes it',
    1,
    (store, clock) => ({
      complete: async (request) => {
        const record = recordOf(store, request.id);
        if (!record?.isOwnedBy(request.owner, request.from, clock.now()))
          return store.complete(request);
        const { state } = record;
        record.state = 'released';
        await Promise.resolve();
        record.state = state;
        return store.complete(request);
      },
    }),
  ],
  [
    'a watch cannot be stopped twice',
    1,
    (store) => ({
      watch: (id, onChange) => {
        let isStopped = false;
        const stop = store.watch(id, onChange);
        return () => {
          if (isStopped) throw new Error('not subscribed');
          isStopped = true;
          stop();
        };
      },
    }),
  ],
  [
    'stopping one watch stops all of the record',
    1,
    (store) => {
      const stops = new Map<string, (() => void)[]>();
      return {
        watch: (id, onChange) => {
          stops.set(id, [...(stops.get(id) ?? []), store.watch(id, onChange)]);
          return () => stops.get(id)?.forEach((stop) => stop());
        },
      };
    },
  ],
];
