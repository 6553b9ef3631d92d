import type { CancelTimer, Clock } from './clock.js';
import type { IdempotencyStore, Refusing } from './store.js';

/**
 * - `acquiring`: the store is being asked for the record.
 * - `answered`: the store has answered, and the record is not ours.
 * - `failed`: the store could not be reached.
 * - `running`: the record is ours and the handler runs.
 * - `replied`: the handler's reply is known here, whether or not the store has it yet.
 * - `gone`: the claim ended without a reply, so waiting calls must look at the record again.
 */
type Phase =
  | { readonly name: 'acquiring' }
  | { readonly name: 'answered'; readonly result: Refusing }
  | { readonly name: 'failed'; readonly cause: unknown }
  | { readonly name: 'running' }
  | { readonly name: 'replied'; readonly reply: Uint8Array }
  | { readonly name: 'gone' };

const ACQUIRING: Phase = { name: 'acquiring' };
const RUNNING: Phase = { name: 'running' };
const GONE: Phase = { name: 'gone' };

/** Separates the content from the caller in a fingerprint that contains the caller. */
export const CALLER = '.';

/** True if two fingerprints are of the same content, sent by different callers. */
export function isOtherCaller(a: string, b: string): boolean {
  const [content, caller] = a.split(CALLER);
  const [otherContent, otherCaller] = b.split(CALLER);
  return content === otherContent && caller !== otherCaller;
}

/** True if a call with one fingerprint may be answered from a record with the other. */
export function fingerprintsMatch(a: string, b: string): boolean {
  return a === b || a === '' || b === '';
}

/**
 * The one call of this process that talks to the store about a record. Duplicates in the same
 * process wait for it: they neither ask the store nor poll, and are woken when its phase changes.
 */
export class LocalCall {
  phase: Phase = ACQUIRING;
  private waiters: Set<() => void> | undefined;

  constructor(readonly fingerprint: string) {}

  /** The record is ours. */
  run(): void {
    this.enter(RUNNING);
  }

  /** The record is not ours. */
  answer(result: Refusing): void {
    this.enter({ name: 'answered', result });
  }

  fail(cause: unknown): void {
    this.enter({ name: 'failed', cause });
  }

  reply(reply: Uint8Array): void {
    this.enter({ name: 'replied', reply });
  }

  /** Close the call first: a duplicate that still found it would wait in vain. */
  end(): void {
    this.enter(GONE);
  }

  /**
   * Calls `wake` once, at the next change of phase.
   *
   * @returns a function that stops the waiting
   */
  onChange(wake: () => void): () => void {
    (this.waiters ??= new Set()).add(wake);
    return () => void this.waiters?.delete(wake);
  }

  private enter(phase: Phase): void {
    this.phase = phase;
    const waiters = this.waiters;
    if (waiters === undefined) return;
    this.waiters = undefined;
    for (const wake of waiters) wake();
  }
}

const FIRST_POLL_MS = 25;
const LONGEST_POLL_MS = 500;
/** With a store that calls back, polling is only the fallback. */
const POLL_BESIDE_WATCH_MS = 1_000;

interface Round {
  readonly waiters: Set<() => void>;
  cancelTimer?: CancelTimer;
  unwatch?: () => void;
}

/**
 * Waits for owners in other processes. All duplicates of a record that wait in this process share
 * one round: one watch, one timer, and then one request to the store.
 */
export class Rounds {
  private readonly rounds = new Map<string, Round>();

  constructor(
    private readonly store: IdempotencyStore,
    private readonly clock: Clock,
  ) {}

  /**
   * @param round how often the caller has already waited; pauses grow with it
   * @param leaseRemainingMs when to look again at the latest, because the current lease ends then
   * @returns a function that leaves the round
   */
  join(id: string, round: number, leaseRemainingMs: number, wake: () => void): () => void {
    const joined = this.rounds.get(id) ?? this.begin(id, round, leaseRemainingMs);
    joined.waiters.add(wake);
    return () => {
      joined.waiters.delete(wake);
      if (joined.waiters.size === 0) this.end(id, joined);
    };
  }

  private begin(id: string, number: number, leaseRemainingMs: number): Round {
    const round: Round = { waiters: new Set() };
    const end = (): void => this.end(id, round);
    round.unwatch = this.watch(id, end);
    // The first pause is always short, because the change may have come just before the watch.
    const pauseMs =
      round.unwatch !== undefined && number > 0
        ? POLL_BESIDE_WATCH_MS
        : Math.min(FIRST_POLL_MS * 2 ** number, LONGEST_POLL_MS);
    round.cancelTimer = this.clock.after(Math.max(1, Math.min(pauseMs, leaseRemainingMs)), end);
    this.rounds.set(id, round);
    return round;
  }

  private end(id: string, round: Round): void {
    if (this.rounds.get(id) !== round) return;
    this.rounds.delete(id);
    round.cancelTimer?.();
    round.unwatch?.();
    for (const wake of round.waiters) wake();
  }

  /** If the watch fails, polling remains. */
  private watch(id: string, onChange: () => void): (() => void) | undefined {
    try {
      return this.store.watch?.(id, onChange);
    } catch {
      return undefined;
    }
  }
}
