import {
  type AcquireRequest,
  type AcquireResult,
  type Awaitable,
  type CompleteRequest,
  type ExtendRequest,
  type HoldRequest,
  type IdempotencyStore,
  isPurging,
  type IssueRequest,
  type PurgingStore,
  type RecordView,
  type ReleaseRequest,
  type SaveStepRequest,
} from '../engine/store.js';
import type { Fault } from './faults.js';

/** A verb of {@link IdempotencyStore} that reads or writes records. */
export type StoreVerb = Exclude<
  keyof (IdempotencyStore & PurgingStore),
  'watch' | 'isVolatile' | 'start' | 'prepareLimits' | 'partOf' | 'entities' | 'close'
>;

/** One call, recorded before anything happened to it. */
export interface StoreCall {
  readonly verb: StoreVerb;
  /** The verb's one argument. */
  readonly argument: unknown;
}

/**
 * Passes every call to another store, except those that the test wants to fail. Without a fault it
 * answers as the other store does, at once or with a promise.
 *
 * @example
 * const store = new FaultInjectingStore(new MemoryStore());
 * store.next('complete', failAfter(), failBefore());
 * store.always('extend', hang());
 */
export class FaultInjectingStore implements IdempotencyStore, PurgingStore {
  /** Every call so far, in order. */
  readonly calls: StoreCall[] = [];
  /** As the other store says. */
  readonly isVolatile?: boolean;
  /** Present when the other store has it. */
  readonly watch?: IdempotencyStore['watch'];
  /** Present when the other store has it. */
  readonly prepareLimits?: IdempotencyStore['prepareLimits'];
  /** Present when the other store has it. */
  readonly list?: IdempotencyStore['list'];
  private readonly queued = new Map<StoreVerb, Fault[]>();
  private readonly permanent = new Map<StoreVerb, Fault>();

  constructor(private readonly inner: IdempotencyStore) {
    if (inner.isVolatile !== undefined) this.isVolatile = inner.isVolatile;
    if (inner.watch !== undefined) this.watch = inner.watch.bind(inner);
    if (inner.prepareLimits !== undefined) this.prepareLimits = inner.prepareLimits.bind(inner);
    if (inner.list !== undefined)
      this.list = (request) => this.run('list', request, () => inner.list!(request));
  }

  /** One fault for each of the next calls of the verb, after those that are already queued. */
  next(verb: StoreVerb, ...faults: Fault[]): this {
    this.queued.set(verb, [...(this.queued.get(verb) ?? []), ...faults]);
    return this;
  }

  /** The fault for every call of the verb for which none is queued. */
  always(verb: StoreVerb, fault: Fault): this {
    this.permanent.set(verb, fault);
    return this;
  }

  /** Removes the faults of the verb, or of all verbs. Calls that hang continue to hang. */
  heal(verb?: StoreVerb): this {
    if (verb === undefined) {
      this.queued.clear();
      this.permanent.clear();
    } else {
      this.queued.delete(verb);
      this.permanent.delete(verb);
    }
    return this;
  }

  /** How often the verb was called. Without a verb, the number of all calls. */
  count(verb?: StoreVerb): number {
    return verb === undefined
      ? this.calls.length
      : this.calls.filter((call) => call.verb === verb).length;
  }

  acquire(request: AcquireRequest): Awaitable<AcquireResult> {
    return this.run('acquire', request, () => this.inner.acquire(request));
  }

  extend(request: ExtendRequest): Awaitable<boolean> {
    return this.run('extend', request, () => this.inner.extend(request));
  }

  complete(request: CompleteRequest): Awaitable<boolean> {
    return this.run('complete', request, () => this.inner.complete(request));
  }

  release(request: ReleaseRequest): Awaitable<boolean> {
    return this.run('release', request, () => this.inner.release(request));
  }

  hold(request: HoldRequest): Awaitable<boolean> {
    return this.run('hold', request, () => this.inner.hold(request));
  }

  saveStep(request: SaveStepRequest): Awaitable<boolean> {
    return this.run('saveStep', request, () => this.inner.saveStep(request));
  }

  issue(request: IssueRequest): Awaitable<boolean> {
    return this.run('issue', request, () => this.inner.issue(request));
  }

  find(id: string): Awaitable<RecordView | undefined> {
    return this.run('find', id, () => this.inner.find(id));
  }

  forget(id: string): Awaitable<boolean> {
    return this.run('forget', id, () => this.inner.forget(id));
  }

  /** Does nothing if the store itself drops expired records. */
  purgeExpired(limit: number): Awaitable<number> {
    return this.run('purgeExpired', limit, () =>
      isPurging(this.inner) ? this.inner.purgeExpired(limit) : 0,
    );
  }

  start(warn: (warning: string) => void, largestReplyBytes?: number): Awaitable<void> {
    return this.inner.start?.(warn, largestReplyBytes);
  }

  entities(): Awaitable<readonly NewableFunction[]> {
    return this.inner.entities?.() ?? [];
  }

  close(): Awaitable<void> {
    return this.inner.close?.();
  }

  private run<T>(verb: StoreVerb, argument: unknown, ask: () => Awaitable<T>): Awaitable<T> {
    this.calls.push({ verb, argument });
    const fault = this.queued.get(verb)?.shift() ?? this.permanent.get(verb);
    if (fault === undefined) return ask();
    // A fault returns what `ask` returned, or never answers.
    return fault(async () => ask()) as Promise<T>;
  }
}
