import type { OperationRequest } from './operation.js';
import type { IdempotencyErrorCode } from './refusals.js';

/** What every event of an operation names. */
export interface EventBase {
  /** `METHOD /route/template`, or the scope that was given. */
  readonly scope: string;
  /** Name of the strategy. */
  readonly strategy: string;
  /** The record's id: a digest. Events never carry a key, a body or a reply. */
  readonly id: string;
}

export function subjectOf({
  scope,
  id,
  policy,
}: Pick<OperationRequest, 'scope' | 'id' | 'policy'>): EventBase {
  return { scope, strategy: policy.strategy, id };
}

/** A call became the owner of its operation. */
export interface ClaimedEvent extends EventBase {
  readonly type: 'claimed';
  readonly attempt: number;
  readonly fencingToken: number;
}

/** The lease of the previous claim expired. */
export interface TakenOverEvent extends EventBase {
  readonly type: 'taken-over';
  readonly attempt: number;
  readonly fencingToken: number;
}

/** The owner's handler ended, with success or an error. */
export interface ExecutedEvent extends EventBase {
  readonly type: 'executed';
  readonly attempt: number;
  /** How long the handler took, in milliseconds. */
  readonly durationMs: number;
}

/** The reply is on record. */
export interface StoredEvent extends EventBase {
  readonly type: 'stored';
  readonly attempt: number;
}

/** The claim was released; the next call runs. */
export interface ReleasedEvent extends EventBase {
  readonly type: 'released';
  readonly attempt: number;
  /** Why the transaction could not be committed, if that is why. */
  readonly cause?: unknown;
}

/** The outcome is unknown and waits for an operator. */
export interface HeldEvent extends EventBase {
  readonly type: 'held';
  readonly attempt: number;
  readonly reason: string;
  /** What the database said, if the handler has ended the transaction of its operation itself. */
  readonly cause?: unknown;
}

/** A duplicate was answered with the recorded reply. */
export interface ReplayedEvent extends EventBase {
  readonly type: 'replayed';
}

/** A duplicate waited for the first call; `replayed`, `claimed` or `rejected` follows. */
export interface WaitedEvent extends EventBase {
  readonly type: 'waited';
  readonly durationMs: number;
}

/** A call was refused and its handler did not run. */
export interface RejectedEvent extends Omit<EventBase, 'id'> {
  readonly type: 'rejected';
  readonly code: IdempotencyErrorCode;
  /** Absent when the call had no usable key. */
  readonly id?: string;
  /** Why the store could not be reached, with `IDEMPOTENCY_STORE_UNAVAILABLE`. */
  readonly cause?: unknown;
}

/** The owner's lease ended before its handler did: another call may run now. */
export interface LeaseLostEvent extends EventBase {
  readonly type: 'lease-lost';
  readonly attempt: number;
}

/** The store could not record how the operation ended. This is being retried. */
export interface CompletionFailedEvent extends EventBase {
  readonly type: 'completion-failed';
  readonly attempt: number;
  /** The verb that failed. */
  readonly verb: 'complete' | 'release' | 'hold';
  readonly cause: unknown;
  /**
   * With `complete`: what is kept of the reply. `tombstone`: the store has no room for it, or too
   * much is already waiting for the store. Retries get `IDEMPOTENCY_REPLY_NOT_KEPT`.
   */
  readonly keeps?: 'reply' | 'tombstone';
}

/** A handler runs without protection because the store failed and `onStoreFailure` is `proceed`. */
export interface UnprotectedEvent extends EventBase {
  readonly type: 'unprotected';
  readonly cause: unknown;
}

/** The last attempt that `maxAttempts` allows has failed, or has never ended. */
export interface ExhaustedEvent extends EventBase {
  readonly type: 'exhausted';
  readonly attempt: number;
}

/** Why a message was not processed: a refusal, or how its handler ended. */
export type MessageCode = IdempotencyErrorCode | 'HANDLER_FAILED' | 'HANDLER_GAVE_BACK';

/**
 * A message is not processed, and this application will not see it again: its transport keeps
 * nothing, or it went to the dead letters.
 */
export interface DroppedEvent extends Omit<EventBase, 'id'> {
  readonly type: 'dropped';
  readonly code: MessageCode;
  /** Absent if the handler did not run. */
  readonly id?: string;
}

/** A message is not processed now. Its transport delivers it again. */
export interface ReturnedEvent extends Omit<EventBase, 'id'> {
  readonly type: 'returned';
  readonly code: MessageCode;
  /** Absent if the handler did not run. */
  readonly id?: string;
}

/** A finished step could not be saved. Saving is retried before the claim is released. */
export interface StepNotSavedEvent extends EventBase {
  readonly type: 'step-not-saved';
  readonly attempt: number;
  readonly cause: unknown;
}

/**
 * Somebody settled an operation whose outcome was unknown. Its strategy is `operator`, or `sweep` where
 * a sweep did what `onAbandoned` says.
 */
export interface SettledEvent extends EventBase {
  readonly type: 'settled';
  /** A reply was recorded, the next call runs, or the operation waits for another decision. */
  readonly decision: 'replied' | 'released' | 'held';
  /** Who settled it; absent if nobody was named. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** Somebody deleted a record, so that the next call runs as if it were the first. */
export interface ForgottenEvent extends EventBase {
  readonly type: 'forgotten';
  /** As in {@link SettledEvent}. */
  readonly by?: string | undefined;
  readonly reason?: string | undefined;
}

/** Everything that happens to operations. */
export type IdempotencyEvent =
  | ClaimedEvent
  | TakenOverEvent
  | ExecutedEvent
  | StoredEvent
  | ReleasedEvent
  | HeldEvent
  | ReplayedEvent
  | WaitedEvent
  | RejectedEvent
  | LeaseLostEvent
  | CompletionFailedEvent
  | UnprotectedEvent
  | StepNotSavedEvent
  | ExhaustedEvent
  | DroppedEvent
  | ReturnedEvent
  | SettledEvent
  | ForgottenEvent;

/** What an owner reports, before its operation is named. */
export type OwnersEvent =
  | Pick<StoredEvent, 'type'>
  | Pick<ReleasedEvent, 'type' | 'cause'>
  | Pick<LeaseLostEvent, 'type'>
  | Pick<ExecutedEvent, 'type' | 'durationMs'>
  | Pick<HeldEvent, 'type' | 'reason' | 'cause'>
  | Pick<CompletionFailedEvent, 'type' | 'verb' | 'cause' | 'keeps'>
  | Pick<StepNotSavedEvent, 'type' | 'cause'>;

/** The `type` of every event, which is also the last part of its diagnostics channel's name. */
export const EVENT_TYPES = [
  'claimed',
  'taken-over',
  'executed',
  'stored',
  'released',
  'held',
  'replayed',
  'waited',
  'rejected',
  'lease-lost',
  'completion-failed',
  'unprotected',
  'step-not-saved',
  'exhausted',
  'dropped',
  'returned',
  'settled',
  'forgotten',
] as const satisfies readonly IdempotencyEvent['type'][];

/** Where the engine reports to. Must not throw. */
export interface EventSink {
  /** False while nobody listens. Then no events are built. */
  readonly hasListeners: boolean;
  emit(event: IdempotencyEvent): void;
}
