import type { Awaitable } from './awaitable.js';
import type { Steps } from './store.js';
import type { OperationManager } from './transaction.js';

/** How the end of an operation was taken. */
export type Settlement =
  /** On record: the reply may leave. */
  | { readonly outcome: 'stored' }
  /** The store failed; recording goes on in the background and the reply may leave. */
  | { readonly outcome: 'deferred' }
  /** Another owner finished first: its reply is the operation's. */
  | { readonly outcome: 'superseded'; readonly reply: Uint8Array }
  /** The claim was lost and there is no reply to give: nothing was changed. */
  | { readonly outcome: 'lost' }
  /** The transaction failed: work and record are not there, or both if only its answer is not. */
  | { readonly outcome: 'undone'; readonly cause: unknown };

export interface SaveStepOptions {
  readonly orFail: boolean;
}

/** The owner's side of an operation: alive until it is completed, released or held, once. */
export interface Claim {
  /** The record's id. */
  readonly id: string;
  readonly attempt: number;
  readonly fencingToken: number;
  /** Steps that earlier attempts finished. */
  readonly steps: Steps;
  /** True until the claim is completed, released or held. */
  readonly isRunning: boolean;
  /** False for a lock: there is no record to keep a reply in. */
  readonly keepsReply: boolean;
  /** Aborted when the claim is lost: another owner may be at work. */
  readonly signal: AbortSignal;
  /**
   * Whether the claim still is this owner's. Costs nothing while the lease runs; the store is asked
   * when it has run out by the owner's own clock, which is how a process finds out that it was paused.
   *
   * @throws when the store does not answer
   */
  confirm(): Awaitable<boolean>;
  /** The handler runs from now on. */
  handOver(): void;
  /** What work in a transaction writes with; absent without one. */
  readonly manager?: OperationManager | undefined;
  /** Runs the work where it belongs: within the transaction, if there is one. */
  run<T>(work: () => T): T;
  /** Changes how long the reply will be kept, in milliseconds. */
  setTtl(ttlMs: number): void;
  /** Records the reply. Only when this has settled may the reply leave. */
  complete(reply: Uint8Array): Awaitable<Settlement>;
  /**
   * Records the reply of an operation that failed. What it wrote in a transaction is undone;
   * without one it stays.
   */
  fail(reply: Uint8Array): Awaitable<Settlement>;
  /** Gives the claim back, so that the next call runs. Finished steps stay. */
  release(): Awaitable<void>;
  /** Puts the operation into an operator's hands. `lost`: the claim was not ours any more. */
  hold(reason: string): Awaitable<Settlement>;
  /**
   * Remembers the result of a finished step. `false`: the claim is lost. A store that fails is
   * asked again before the claim is given back, because the step must not run twice.
   *
   * @param options `orFail` for what must be on record before it is used: then a store that
   * fails is an error, and nothing is saved later
   */
  saveStep(name: string, value: Uint8Array, options?: SaveStepOptions): Awaitable<boolean>;
}
