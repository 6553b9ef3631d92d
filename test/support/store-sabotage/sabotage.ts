import type {
  AcquireRequest,
  ClaimRef,
  CompleteRequest,
  ExtendRequest,
  HoldRequest,
  IdempotencyStore,
  IssueRequest,
  ListRequest,
  PurgingStore,
  ReleaseRequest,
  SaveStepRequest,
} from '../../../src/engine/store.js';
import type { MemoryStore } from '../../../src/stores/memory/index.js';
import type { MemoryRecord } from '../../../src/stores/memory/memory-record.js';
import type { Guarantee, ManualClock } from '../../../src/testing/index.js';

/** Puts one fault into a good store: the verbs it returns replace those of the store. */
export type Sabotage = (
  store: MemoryStore,
  clock: ManualClock,
) => Partial<IdempotencyStore & PurgingStore>;

/** The verbs of the store, each a function that needs no `this`. */
export function verbsOf(store: MemoryStore) {
  return {
    acquire: (request: AcquireRequest) => store.acquire(request),
    extend: (request: ExtendRequest) => store.extend(request),
    complete: (request: CompleteRequest) => store.complete(request),
    release: (request: ReleaseRequest) => store.release(request),
    hold: (request: HoldRequest) => store.hold(request),
    saveStep: (request: SaveStepRequest) => store.saveStep(request),
    issue: (request: IssueRequest) => store.issue(request),
    find: (id: string) => store.find(id),
    forget: (id: string) => store.forget(id),
    purgeExpired: (limit: number) => store.purgeExpired(limit),
    watch: (id: string, onChange: () => void) => store.watch(id, onChange),
    prepareLimits: () => store.prepareLimits(),
    list: (request: ListRequest) => store.list(request),
  } satisfies IdempotencyStore & PurgingStore;
}

/** The record itself, as a faulty store would treat it. */
export function recordOf(store: MemoryStore, id: string): MemoryRecord | undefined {
  return store['records'].get(id);
}

/** Forgets the record whatever its state is, and its lease. */
export function erase(store: MemoryStore, id: string): void {
  const record = recordOf(store, id);
  if (record) store['records'].drop(record);
}

/** Lets anybody act as the owner. */
export function impersonating<T extends ClaimRef>(
  store: MemoryStore,
  verb: (request: T) => boolean,
): (request: T) => boolean {
  return (request) =>
    verb({ ...request, owner: recordOf(store, request.id)?.owner ?? request.owner });
}

/** Lets the owner act though its lease has run out. */
export function leaseless<T extends ClaimRef>(
  store: MemoryStore,
  verb: (request: T) => boolean,
): (request: T) => boolean {
  return (request) => {
    const record = recordOf(store, request.id);
    if (record?.state !== 'in-flight') return verb(request);
    const { leaseEndsAt } = record;
    record.leaseEndsAt = Infinity;
    const answer = verb(request);
    if (!answer) record.leaseEndsAt = leaseEndsAt;
    return answer;
  };
}

export const asText = (bytes: Uint8Array): Uint8Array =>
  Buffer.from(Buffer.from(bytes).toString('utf8'));

/** Lets the owner act whatever the state of the record is. */
export function ofAnyState<T extends ClaimRef>(
  store: MemoryStore,
  verb: (request: T) => boolean,
): (request: T) => boolean {
  return (request) => {
    const record = recordOf(store, request.id);
    const isIdle = record?.state === 'released' || record?.state === 'issued';
    if (isIdle && record.owner === request.owner) {
      record.state = 'in-flight';
      record.leaseEndsAt = Infinity;
    }
    return verb(request);
  };
}

/** Lets a verb make the record that it does not find. */
export function inserting<T extends ClaimRef>(
  store: MemoryStore,
  verb: (request: T) => boolean,
): (request: T) => boolean {
  return (request) => {
    if (store.find(request.id) === undefined) {
      store.acquire({ ...request, fingerprint: '', leaseMs: 1000, ttlMs: 1000 });
    }
    return verb(request);
  };
}

/** A fault, and the guarantee that it breaks. */
export type NamedSabotage = readonly [name: string, breaks: Guarantee, sabotage: Sabotage];
