import type { RecordPage } from '../../../src/engine/store.js';
import { type NamedSabotage, recordOf } from './sabotage.js';

export const SABOTAGES_OF_STORIES: readonly NamedSabotage[] = [
  [
    'nobody knows what a record is about',
    10,
    (store) => ({
      acquire: (request) => store.acquire({ ...request, scope: undefined, label: undefined }),
    }),
  ],
  [
    'every attempt makes the record anew',
    10,
    (store) => ({
      acquire: (request) => {
        const result = store.acquire(request);
        const record = recordOf(store, request.id);
        if (record && result.outcome === 'acquired')
          record.story = { ...record.story, createdAt: record.story.claimedAt };
        return result;
      },
    }),
  ],
  [
    'a record has the story of the one before it',
    10,
    (store) => {
      const told = new Map<string, object>();
      return {
        acquire: (request) => {
          const before = told.get(request.id);
          const result = store.acquire(request);
          const record = recordOf(store, request.id);
          if (record && before) record.story = { ...record.story, ...before };
          return result;
        },
        hold: (request) => {
          const isHeld = store.hold(request);
          const { heldAt } = recordOf(store, request.id)?.story ?? {};
          if (isHeld) told.set(request.id, { heldAt });
          return isHeld;
        },
      };
    },
  ],
  [
    'the failure that a record is held for is lost',
    10,
    (store) => ({ hold: (request) => store.hold({ ...request, failure: undefined }) }),
  ],
  [
    'who settled a record is lost',
    10,
    (store) => ({
      complete: (request) => store.complete({ ...request, settledBy: undefined }),
      release: (request) => store.release({ ...request, settledBy: undefined }),
    }),
  ],
  [
    'held records are listed in no order',
    10,
    (store) => ({
      list: (request) => {
        const { records, next }: RecordPage = store.list(request);
        return { records: [...records].reverse(), next };
      },
      hold: (request) => {
        const isHeld = store.hold(request);
        const record = recordOf(store, request.id);
        // In time, so that the order can be seen.
        if (isHeld && record) {
          const heldAt = record.story.heldAt! + Number.parseInt(record.id.slice(0, 2), 16);
          record.story = { ...record.story, heldAt };
        }
        return isHeld;
      },
    }),
  ],
  [
    'a settled record is still listed as held',
    10,
    (store) => {
      const settled = new Set<string>();
      return {
        release: (request) => {
          const { id } = request;
          if (request.from === 'held') settled.add(id);
          return store.release(request);
        },
        list: (request) => {
          const page = store.list(request);
          if (request.state !== 'held' || request.after !== undefined) return page;
          const late = [...settled].flatMap((id) => store.find(id) ?? []);
          return { ...page, records: [...page.records, ...late] };
        },
      };
    },
  ],
  [
    'pages are counted, so that a settlement lets one be left out',
    10,
    (store) => ({
      list: ({ state, after = '0', limit }) => {
        const { records } = store.list({ state, limit: Number.MAX_SAFE_INTEGER });
        const end = Number(after) + limit;
        const next = end < records.length ? String(end) : undefined;
        return { records: records.slice(Number(after), end), next };
      },
    }),
  ],
  [
    'operations in flight are listed as abandoned',
    10,
    (store) => ({
      list: (request) =>
        store.list(request.state === 'abandoned' ? { ...request, state: 'in-flight' } : request),
    }),
  ],
];
