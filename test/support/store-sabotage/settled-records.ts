import { erase, impersonating, recordOf, type NamedSabotage, verbsOf } from './sabotage.js';

export const SABOTAGES_OF_SETTLED_RECORDS: readonly NamedSabotage[] = [
  [
    'a late release reopens what its owner completed',
    3,
    (store) => ({
      release: (request) => {
        const record = recordOf(store, request.id);
        if (record?.state === 'completed' && record.owner === request.owner)
          record.state = 'released';
        return store.release(request) || record?.state === 'released';
      },
    }),
  ],
  [
    'a second completion replaces the reply',
    3,
    (store) => ({
      complete: (request) => {
        const answer = store.complete(request);
        const record = recordOf(store, request.id);
        if (answer && record) record.reply = Uint8Array.from(request.reply);
        return answer;
      },
    }),
  ],
  [
    'a held record expires',
    3,
    (store, clock) => ({
      hold: (request) => {
        const record = recordOf(store, request.id);
        const expiresAt = record?.expiresAt ?? 0;
        const answer = store.hold(request);
        if (answer && record) store['records'].keepUntil(record, Math.max(expiresAt, clock.now()));
        return answer;
      },
    }),
  ],
  [
    'anybody settles a held record',
    3,
    (store) => ({
      release: (request) =>
        request.from === 'held'
          ? impersonating(store, verbsOf(store).release)(request)
          : store.release(request),
    }),
  ],
  [
    'forget deletes a live claim',
    3,
    (store) => ({
      forget: (id) => {
        const answer = store.find(id) !== undefined;
        erase(store, id);
        return answer;
      },
    }),
  ],
  [
    'a reply is kept as long as its claim would have been',
    3,
    (store) => ({
      complete: (request) => {
        const record = recordOf(store, request.id);
        const expiresAt = record?.expiresAt ?? 0;
        const answer = store.complete(request);
        if (answer && record) store['records'].keepUntil(record, expiresAt);
        return answer;
      },
    }),
  ],
  [
    'a mismatch overwrites the fingerprint',
    4,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = recordOf(store, request.id);
        if (result.outcome === 'mismatch' && record) record.fingerprint = request.fingerprint;
        return result;
      },
    }),
  ],
  [
    'a refused duplicate releases the claim',
    4,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = recordOf(store, request.id);
        if (result.outcome === 'in-flight' && record) record.state = 'released';
        return result;
      },
    }),
  ],
  [
    'a replay prolongs the ttl',
    4,
    (store, clock) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = recordOf(store, request.id);
        if (result.outcome === 'completed' && record) {
          store['records'].keepUntil(record, clock.now() + request.ttlMs);
        }
        return result;
      },
    }),
  ],
  [
    'the fingerprint is not looked at after the lease has run out',
    4,
    (store, clock) => ({
      acquire: (request) => {
        const record = recordOf(store, request.id);
        const isLapsed = record?.state === 'in-flight' && !record.isLeased(clock.now());
        return store.acquire(isLapsed ? { ...request, fingerprint: record.fingerprint } : request);
      },
    }),
  ],
  [
    'looking at a record prolongs it',
    4,
    (store) => ({
      find: (id) => {
        const record = recordOf(store, id);
        if (record) record.leaseEndsAt += 1000;
        return store.find(id);
      },
    }),
  ],
];
