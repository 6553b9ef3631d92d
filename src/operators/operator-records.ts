import { counterOf } from '../engine/attempt-counter.js';
import { wrongOption } from '../engine/configuration-error.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import type { EventSink } from '../engine/events.js';
import { newOwner } from '../engine/owned-record.js';
import { isUsedUp, type RecordedFailure, type SettledBy } from '../engine/story.js';
import type { StoreCallName } from '../engine/store-calls.js';
import type {
  Awaitable,
  IdempotencyStore,
  ListedRecord,
  ListedState,
  RecordState,
  RecordView,
} from '../engine/store.js';
import type { TransactionalStore } from '../engine/transaction.js';
import type { RecoveredReply } from '../operation/recovery.js';

/** One record, and where it is. */
export interface RecordById {
  /** The record's id, as events, lists and log lines have it. */
  readonly id: string;
  /**
   * The store's data source that has the record, one of its `sources`. If absent, the record is
   * looked for in the store's own and then in all others; found in two, it is an error.
   */
  readonly source?: string | undefined;
}

/** An operation as operators see it. All times are by the store's clock. */
export interface OperationView {
  /** The record's id: a digest. It does not reveal the key. */
  readonly id: string;
  readonly state: RecordState;
  /** True if its owner stopped renewing the lease and nobody has taken over. */
  readonly isAbandoned: boolean;
  readonly attempt: number;
  readonly fencingToken: number;
  /** Names of the steps that have finished; empty in lists. */
  readonly steps: readonly string[];
  /** Why it is held. */
  readonly reason: string | undefined;
  /** Milliseconds until the current owner's lease ends; zero or less once it has expired. */
  readonly leaseRemainingMs: number | undefined;
  /** Milliseconds until the record is forgotten; `undefined` if it is kept until it is settled. */
  readonly ttlRemainingMs: number | undefined;
  /** `METHOD /route/template`, or the scope that was given. */
  readonly scope: string | undefined;
  /** What the option `label` said. */
  readonly label: string | undefined;
  /** The error that it is held for, if that is why. Its message has no values. */
  readonly failure: RecordedFailure | undefined;
  /** When the record was made. */
  readonly createdAt: Date | undefined;
  /** When the last attempt began. */
  readonly claimedAt: Date | undefined;
  /** When it was held the last time. */
  readonly heldAt: Date | undefined;
  /** When somebody settled it. */
  readonly settledAt: Date | undefined;
  /** Who settled it, and why. */
  readonly settledBy: SettledBy | undefined;
}

/** Which records to list. */
export interface ListQuery {
  /** `abandoned`: in flight, and the lease has run out. */
  readonly state: ListedState;
  readonly scope?: string | undefined;
  readonly label?: string | undefined;
  /** Only what has been so, or was claimed, for longer than this. */
  readonly olderThan?: Duration | undefined;
  /** {@link OperationList.cursor} of the page before. */
  readonly cursor?: string | undefined;
  /**
   * The most records of one page; 1 to 1000.
   * @default 50
   */
  readonly limit?: number | undefined;
  /** The store's data source to look in; absent for its own. */
  readonly source?: string | undefined;
}

/** A page of a list. */
export interface OperationList {
  readonly records: readonly OperationView[];
  /** Where the next page begins; `undefined` after the last one. */
  readonly cursor: string | undefined;
}

/** What an operator decides about an operation whose outcome is unknown. */
export type OperatorDecision = 'release' | 'hold' | RecoveredReply;

/** What the records are reached with. */
export interface OperatorSurroundings {
  readonly store: IdempotencyStore;
  /** Runs one verb; turns the failure of a store into the error that the caller expects. */
  ask<T>(verb: StoreCallName, run: (store: IdempotencyStore) => Awaitable<T>): Promise<T>;
  /** Deletes a record, and what this process still knows of it. */
  forget(id: string, place: IdempotencyStore): Promise<boolean>;
  /** The bytes that a record keeps of a reply. */
  encode(reply: RecoveredReply, scope: string | undefined): Uint8Array;
  /** How long the handler with this scope keeps its replies, in milliseconds; `undefined` if that is not known here. */
  ttlMsOf(scope: string | undefined): number | undefined;
  /** How often an operation of this scope may be attempted; absent if nobody here knows its handler. */
  maxAttemptsOf(scope: string | undefined): number | undefined;
  readonly events: EventSink;
}

/** Where a record is. */
export interface Found {
  readonly place: IdempotencyStore;
  readonly record: RecordView | undefined;
  readonly name?: string | undefined;
}

const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;
/**
 * A settled reply that is forgotten too early lets a late retry run again. So where nobody knows how long the
 * handler keeps its replies, this one is kept long: 30 days, in milliseconds.
 */
const UNKNOWN_TTL_MS = 30 * 24 * 60 * 60_000;
/** Long enough for the two writes that follow. In milliseconds. */
const TAKE_OVER_MS = 30_000;

/** What operators do with single records, by their ids. */
export class OperatorRecords {
  constructor(private readonly around: OperatorSurroundings) {}

  async list(query: ListQuery): Promise<OperationList> {
    const { state, scope, label, olderThan, cursor, limit = DEFAULT_LIMIT, source } = query;
    if (!STATES.includes(state)) throw wrongOption('state of list()', state, STATES.join(', '));
    if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
      throw wrongOption('limit of list()', limit, `a whole number from 1 to ${MAX_LIMIT}`);
    const leastMs = olderThan === undefined ? 0 : parseDuration('olderThan of list()', olderThan);
    const { place } = await this.placeOf(source);
    if (place.list === undefined)
      throw wrongOption(
        'store',
        place,
        'a store that lists records, as those of this package do',
        'Add list() to your store; see docs/extending.md.',
      );
    const { records, next } = await this.around.ask('list', () =>
      place.list!({ state, after: cursor, limit }),
    );
    const before = Date.now() - leastMs;
    const found = records.filter(
      ({ story = {} }) =>
        (scope === undefined || story.scope === scope) &&
        (label === undefined || story.label === label) &&
        (olderThan === undefined || (sinceOf(state, story) ?? before) <= before),
    );
    return { records: found.map((record) => viewOf(record)), cursor: next };
  }

  async find(ref: RecordById): Promise<OperationView | undefined> {
    const { record } = await this.look(ref);
    return record && viewOf(record);
  }

  /**
   * Settles an operation that is held, or abandoned. `false` if it is neither.
   *
   * @param fallbackScope of an operation whose record does not know it
   */
  async settle(
    ref: RecordById,
    decision: OperatorDecision,
    settledBy: SettledBy | undefined,
    fallbackScope?: string,
  ): Promise<boolean> {
    checkSettledBy(settledBy);
    const { place, record } = await this.look(ref);
    if (record === undefined) return false;
    const { id, story = {} } = record;
    const { scope = fallbackScope } = story;
    const ttlMs = story.keepsForMs ?? this.ttlMsOf(scope);
    // Before anything changes: a value that cannot be kept leaves the record as it is.
    const reply = typeof decision === 'string' ? undefined : this.around.encode(decision, scope);
    const owner = await this.ownerOf(place, record, decision, settledBy);
    if (owner === undefined) return false;
    const claim = { id, owner, ttlMs, from: 'held' as const, settledBy };
    const isSettled =
      decision === 'hold' ||
      (reply === undefined
        ? await this.around.ask('release', () =>
            place.release({ ...claim, isUncounted: this.isUsedUp(record, scope) }),
          )
        : await this.around.ask('complete', () => place.complete({ ...claim, reply })));
    if (isSettled) this.tell('settled', { id, scope }, settledBy, outcomeOf(decision));
    return isSettled;
  }

  /** True if no attempt is left for the next retry, which is to run all the same. */
  private isUsedUp(
    { state, attempt, reason = '' }: RecordView,
    scope: string | undefined,
  ): boolean {
    const times = this.around.maxAttemptsOf(scope);
    // What is abandoned has been claimed once more in order to settle it, and nothing says how often it may be.
    if (state !== 'held') return times === undefined || attempt + 1 >= times;
    return times === undefined ? isUsedUp(reason) : attempt >= times;
  }

  /** Deletes the record, unless an owner is running. `false` if nothing was deleted. */
  async forget(
    ref: RecordById,
    settledBy: SettledBy | undefined,
    fallbackScope?: string,
  ): Promise<boolean> {
    checkSettledBy(settledBy);
    const { events } = this.around;
    const { id } = ref;
    const mustLook = this.hasSources || events.hasListeners;
    const { place, record } = mustLook
      ? await this.look(ref)
      : { place: this.around.store, record: undefined };
    const isForgotten = [await this.around.forget(id, place), await this.forgetCount(id)].includes(
      true,
    );
    const { scope = fallbackScope } = record?.story ?? {};
    if (isForgotten) this.tell('forgotten', { id, scope }, settledBy);
    return isForgotten;
  }

  /** The attempts of work in a transaction are counted beside its record, which is undone with it. */
  private async forgetCount(id: string): Promise<boolean> {
    const store: IdempotencyStore & Partial<TransactionalStore> = this.around.store;
    if (store.beginTransaction === undefined) return false;
    return this.around.forget(counterOf(id), store);
  }

  /** The record, and the store that has it; the store's own if there is none. */
  async look({ id, source }: RecordById): Promise<Found> {
    const names = source === undefined ? [undefined, ...this.sources] : [source];
    const found: Found[] = [];
    let first: Found | undefined;
    for (const name of names) {
      const { place } = await this.placeOf(name);
      first ??= { place, record: undefined };
      const record = await this.around.ask('find', () => place.find(id));
      if (record !== undefined) found.push({ place, record, name });
    }
    if (found.length > 1) {
      const where = found.map(({ name }) => name ?? "the store's own").join(', ');
      throw wrongOption(
        'source',
        source,
        `the name of a data source, because several have this record: ${where}`,
        'Name the one that you mean.',
      );
    }
    return found[0] ?? first!;
  }

  /**
   * The owner of the held record. An abandoned one is taken over and held first: then nobody runs it
   * between the two writes, also if this process dies.
   */
  private async ownerOf(
    place: IdempotencyStore,
    record: RecordView,
    decision: OperatorDecision,
    settledBy: SettledBy | undefined,
  ): Promise<string | undefined> {
    if (record.state === 'held') return decision === 'hold' ? undefined : record.owner;
    if (!isAbandoned(record)) return undefined;
    const { id, fingerprint, story } = record;
    const { scope, label } = story ?? {};
    const ttlMs = this.ttlMsOf(scope);
    const owner = newOwner();
    // An expired record is not made anew.
    const own = { id, owner, fingerprint, scope, label, mustBeIssued: true };
    const claim = { ...own, leaseMs: TAKE_OVER_MS, ttlMs };
    const result = await this.around.ask('acquire', () => place.acquire(claim));
    const taken = result.outcome === 'unreadable' ? result.claimed : result;
    if (taken?.outcome !== 'acquired') return undefined;
    const reason = settledBy === undefined ? 'abandoned' : `abandoned; ${settledBy.reason}`;
    if (!taken.abandoned) {
      // Somebody released it meanwhile. What was left of it stays: steps that must not run again.
      await this.around.ask('release', () => place.release({ id, owner, ttlMs }));
      return undefined;
    }
    const isHeld = await this.around.ask('hold', () => place.hold({ id, owner, reason, ttlMs }));
    return isHeld ? owner : undefined;
  }

  private ttlMsOf(scope: string | undefined): number {
    return this.around.ttlMsOf(scope) ?? UNKNOWN_TTL_MS;
  }

  /** The names of the data sources beside the store's own. */
  get sources(): readonly string[] {
    return (this.around.store as Partial<TransactionalStore>).sources ?? [];
  }

  private get hasSources(): boolean {
    return this.sources.length > 0;
  }

  private async placeOf(source: string | undefined): Promise<Found> {
    const own = this.around.store as IdempotencyStore & Partial<TransactionalStore>;
    if (source === undefined) return { place: own, record: undefined };
    if (own.recordsOf === undefined)
      throw wrongOption('source', source, 'nothing with a store that has no further data sources');
    return { place: await own.recordsOf(source), record: undefined };
  }

  private tell(
    type: 'settled' | 'forgotten',
    { id, scope = '' }: { readonly id: string; readonly scope: string | undefined },
    { by, reason }: Partial<SettledBy> = {},
    decision: 'replied' | 'released' | 'held' = 'released',
  ): void {
    const { events } = this.around;
    if (!events.hasListeners) return;
    const about = { scope, strategy: 'operator', id, by, reason };
    events.emit(type === 'settled' ? { type, ...about, decision } : { type, ...about });
  }
}

const STATES: readonly ListedState[] = [
  'held',
  'abandoned',
  'in-flight',
  'completed',
  'released',
  'issued',
];

function outcomeOf(decision: OperatorDecision): 'replied' | 'released' | 'held' {
  if (decision === 'release') return 'released';
  return decision === 'hold' ? 'held' : 'replied';
}

function sinceOf(
  state: ListedState,
  { heldAt, claimedAt, createdAt }: NonNullable<RecordView['story']>,
): number | undefined {
  return (state === 'held' ? heldAt : undefined) ?? claimedAt ?? createdAt;
}

function isAbandoned({ state, leaseRemainingMs }: ListedRecord): boolean {
  return state === 'in-flight' && (leaseRemainingMs ?? 0) <= 0;
}

/** What operators see of a record. */
export function viewOf(
  record: ListedRecord & { readonly steps?: RecordView['steps'] },
): OperationView {
  const { id, state, attempt, fencingToken, reason, leaseRemainingMs, ttlRemainingMs } = record;
  const { scope, label, failure, settledBy, ...times } = record.story ?? {};
  return {
    id,
    state,
    isAbandoned: isAbandoned(record),
    attempt,
    fencingToken,
    steps: [...(record.steps?.keys() ?? [])],
    reason,
    leaseRemainingMs,
    ttlRemainingMs,
    scope,
    label,
    failure,
    createdAt: dateOf(times.createdAt),
    claimedAt: dateOf(times.claimedAt),
    heldAt: dateOf(times.heldAt),
    settledAt: dateOf(times.settledAt),
    settledBy,
  };
}

function dateOf(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms);
}

const MAX_WORDS = 200;

function checkSettledBy(settledBy: SettledBy | undefined): void {
  if (settledBy === undefined) return;
  for (const option of ['by', 'reason'] as const) {
    const words: unknown = settledBy[option];
    if (typeof words === 'string' && words.trim() !== '' && words.length <= MAX_WORDS) continue;
    throw wrongOption(
      option,
      words,
      `a text of 1 to ${MAX_WORDS} characters`,
      'Say who settles the operation, and why. It stays with the record.',
    );
  }
}
