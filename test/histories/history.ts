import type { AcquireResult, RecordView } from 'nestjs-idempotency/contracts';

/** One call of a store: when it was made and when it was answered, by the clock of this process. */
interface Timed {
  readonly startedAt: number;
  /** Infinite while there is no answer. */
  endedAt: number;
  /** What it did is not known. */
  hasFailed: boolean;
}

export interface AcquireCall extends Timed {
  readonly verb: 'acquire';
  readonly owner: string;
  readonly fingerprint: string;
  answer?: AcquireResult;
}

/** A verb that only the owner may use, or who settles a held record. */
export interface OwnersCall extends Timed {
  readonly verb: 'extend' | 'complete' | 'release' | 'hold' | 'saveStep';
  readonly owner: string;
  /** Settles a held record. */
  readonly isSettlement: boolean;
  /** The reply, or the name of the step. */
  readonly text: string;
  answer?: boolean;
}

export interface FindCall extends Timed {
  readonly verb: 'find';
  answer?: RecordView | undefined;
}

export interface ForgetCall extends Timed {
  readonly verb: 'forget';
  answer?: boolean;
}

export type StoreCall = AcquireCall | OwnersCall | FindCall | ForgetCall;

/** Everything that happened to one record. */
export interface History {
  readonly leaseMs: number;
  readonly calls: readonly StoreCall[];
}
