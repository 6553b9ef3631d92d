import type { LockService } from '../../engine/lock-service.js';

/** The guarantees of a lock service, by number. */
export const LOCK_GUARANTEES = {
  1: 'Of any number of callers, in any number of processes, one at a time holds a lock.',
  2: 'The fencing token is higher for every holder, also after the lock was free.',
  3: 'Only its holder releases a lock.',
  4: 'Whoever waits gets the lock once it is free; whoever does not wait, or waits no longer, is refused and leaves nothing.',
  5: 'A renewed lock outlasts its lease. Without its holder it goes to the next, and the holder is told.',
  6: 'Names are exact.',
} as const;

/** Number of a guarantee of a lock service. */
export type LockGuarantee = keyof typeof LOCK_GUARANTEES;

/** A client that can be cut off from its server. */
export interface MortalLocks {
  readonly locks: LockService;
  /** From now on, nothing that it sends arrives, and nothing comes back. */
  readonly cutOff: () => void;
}

/** What a case needs from the lock service under test. Cases use new names, so nothing has to be emptied. */
export interface LockHarness {
  readonly locks: LockService;
  /** Another client of the same locks, as another process would have. */
  readonly other: LockService;
  /**
   * The lease that the cases ask for, in milliseconds. Where the session decides, its timeout. Some cases
   * wait for a few of them.
   */
  readonly leaseMs: number;
  /** Makes a client of the same locks that can be cut off. */
  readonly mortal: () => Promise<MortalLocks>;
}

/** One promise of a lock service, which any test runner can check. */
export interface LockCase {
  /** See {@link LOCK_GUARANTEES}. */
  readonly guarantee: LockGuarantee;
  /** Behaviour in the present tense, unique in the suite. */
  readonly name: string;
  /** Rejects with an `AssertionError` if the service breaks the promise. */
  readonly run: (harness: LockHarness) => Promise<void>;
}

export function lockCasesOf(
  guarantee: LockGuarantee,
  cases: Readonly<Record<string, (harness: LockHarness) => Promise<void>>>,
): LockCase[] {
  return Object.entries(cases).map(([name, run]) => ({ guarantee, name, run }));
}
