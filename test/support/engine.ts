import type { Claim } from '../../src/engine/claim.js';
import type { CircuitChange, CircuitOptions } from '../../src/engine/circuit.js';
import { IdempotencyEngine } from '../../src/engine/engine.js';
import type { IdempotencyEvent } from '../../src/engine/events.js';
import type { LockService } from '../../src/engine/lock-service.js';
import type { Beginning, OperationPolicy, OperationRequest } from '../../src/engine/operation.js';
import type { Awaitable, IdempotencyStore, RecordView } from '../../src/engine/store.js';
import {
  BoundedReplies,
  ReplayCache,
  type ReplayCacheOptions,
} from '../../src/engine/replay-cache.js';
import { StoreCalls } from '../../src/engine/store-calls.js';
import type { DeferredBounds } from '../../src/engine/deferred.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import { newDeferred } from './deferred.js';
import { FaultInjectingStore, ManualClock, pass, type StoreVerb } from '../../src/testing/index.js';

export const LEASE_MS = 30_000;
export const TTL_MS = 86_400_000;
export const STORE_TIMEOUT_MS = 2_000;
export const RETRY_AFTER_MS = 1_000;

export const SETTLING_VERBS = ['complete', 'release', 'hold'] as const;
const OWNERS_VERBS: readonly StoreVerb[] = ['acquire', 'extend', 'saveStep', ...SETTLING_VERBS];

const POLICY: OperationPolicy = {
  strategy: 'unique-key',
  leaseMs: LEASE_MS,
  ttlMs: TTL_MS,
  waitMs: 0,
  retryAfterMs: RETRY_AFTER_MS,
  onDuplicate: 'replay',
  onAbandoned: 'rerun',
  onStoreFailure: 'reject',
  onRecordFailure: 'defer',
  keepsReply: true,
};

/** What differs from the defaults; parts of the policy beside parts of the request. */
export type Given = Partial<Omit<OperationRequest, 'policy'>> & Partial<OperationPolicy>;

export function operation(given: Given = {}): OperationRequest {
  const { id = 'payment', scope = 'POST /payments', fingerprint = 'content', ...rest } = given;
  const { recover, isWanted, transaction, refuseUnknown, precondition, label, ...policy } = rest;
  const request = { id, scope, label, fingerprint, recover, isWanted, transaction };
  return { ...request, refuseUnknown, precondition, policy: { ...POLICY, ...policy } };
}

/** One process: an engine, and everything that it reports. */
export class Process {
  readonly engine: IdempotencyEngine;
  readonly events: IdempotencyEvent[] = [];
  readonly circuitChanges: CircuitChange[] = [];

  constructor(
    readonly store: IdempotencyStore,
    readonly clock: ManualClock,
    { bounds, circuit, replays, locks }: ProcessOptions = {},
  ) {
    const sink = { hasListeners: true, emit: (event: IdempotencyEvent) => this.events.push(event) };
    const storeSink = {
      hasStoreListeners: false,
      emitStoreCall: () => undefined,
      emitCircuit: (change: CircuitChange) => void this.circuitChanges.push(change),
    };
    const calls = new StoreCalls(store, clock, STORE_TIMEOUT_MS, storeSink, circuit);
    const kept = replays && new ReplayCache(new BoundedReplies(replays), clock);
    const deferred = newDeferred(bounds);
    this.engine = new IdempotencyEngine(calls, clock, sink, deferred, kept, undefined, locks);
  }

  begin(given?: Given): Awaitable<Beginning> {
    return this.engine.begin(operation(given));
  }

  /** Begins and expects to run. */
  async claim(given?: Given): Promise<Claim> {
    return claimIn(await this.begin(given));
  }

  /** Begins, and says in a word what came of it. */
  async ask(given?: Given): Promise<string> {
    return told(await this.begin(given));
  }

  /** The types of the events so far, in order; or the events of one type. */
  get reported(): IdempotencyEvent['type'][] {
    return this.events.map(({ type }) => type);
  }

  eventsOf<T extends IdempotencyEvent['type']>(type: T): Extract<IdempotencyEvent, { type: T }>[] {
    return this.events.filter(
      (event): event is Extract<IdempotencyEvent, { type: T }> => event.type === type,
    );
  }
}

interface ProcessOptions {
  /** What may wait for the store. */
  readonly bounds?: Partial<DeferredBounds>;
  readonly circuit?: CircuitOptions;
  readonly replays?: ReplayCacheOptions;
  readonly locks?: LockService;
}

interface StartOptions extends ProcessOptions {
  readonly clock?: ManualClock;
  readonly store?: IdempotencyStore;
}

/** One store with its clock, and the processes over it. */
export class World {
  readonly clock = new ManualClock();
  readonly memory = new MemoryStore({ clock: this.clock });
  readonly store = new FaultInjectingStore(this.memory);
  readonly processes: Process[] = [];
  readonly process = this.start();

  /** Another process on the same store. With a clock of its own it can be paused. */
  start({
    clock = this.clock,
    store = this.store as IdempotencyStore,
    ...options
  }: StartOptions = {}): Process {
    const process = new Process(store, clock, options);
    this.processes.push(process);
    return process;
  }

  /** A process whose clock stands still until it is moved: nothing of it gets its turn. */
  startPaused(): Process {
    const clock = new ManualClock();
    return this.start({ clock });
  }

  /** The process is gone: what it left behind is not looked at. */
  crash(process: Process): void {
    this.processes.splice(this.processes.indexOf(process), 1);
  }

  /** The store answers with promises, as a server does. */
  answerLater(): this {
    for (const verb of OWNERS_VERBS) this.store.always(verb, pass);
    return this;
  }

  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
  }

  record(id = 'payment'): RecordView {
    const view = this.memory.find(id);
    if (view === undefined) throw new Error('there is no record');
    return view;
  }

  get reply(): string | undefined {
    const { reply } = this.record();
    return reply && textOf(reply);
  }
}

let worlds: World[] = [];

export function newWorld(): World {
  const world = new World();
  worlds.push(world);
  return world;
}

/** After every test of the file: no call, timer, watch or work in the background is left. */
export function expectNothingLeft(): void {
  afterEach(async () => {
    const left = worlds;
    worlds = [];
    for (const { clock, memory, processes } of left) {
      const clocks = new Set([clock, ...processes.map((process) => process.clock)]);
      for (const each of clocks) {
        await each.advance(2 * STORE_TIMEOUT_MS);
        expect(each.pendingTimers).toBe(0);
      }
      for (const { engine } of processes) expect(engine.isIdle).toBe(true);
      expect(memory['watchers']['byId'].size).toBe(0);
    }
  });
}

/** What a caller gets, in a word: the code of the refusal, or `replay <reply>`. */
export function told(beginning: Beginning): string {
  switch (beginning.outcome) {
    case 'execute':
    case 'unprotected':
      return beginning.outcome;
    case 'replay':
      return `replay ${textOf(beginning.reply)}`;
    case 'refused':
      return beginning.code;
  }
}

export function claimIn(beginning: Beginning): Claim {
  if (beginning.outcome !== 'execute') throw new Error(`expected to run, got ${told(beginning)}`);
  return beginning.claim;
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

export function textOf(reply: Uint8Array): string {
  return Buffer.from(reply).toString();
}

/** How often each word occurs. */
export function tally(words: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
}

/** Every promise that can settle without time passing has. */
export function settled(): Promise<void> {
  return new ManualClock().advance(0);
}

/** A promise, and what has become of it so far. */
export function follow<T>(promise: Awaitable<T>): { readonly value: T | undefined } {
  const followed: { value: T | undefined } = { value: undefined };
  void Promise.resolve(promise).then((value) => {
    followed.value = value;
  });
  return followed;
}
