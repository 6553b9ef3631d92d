import type { IdempotencyStore } from '../../engine/store.js';

/** The guarantees of a store, by number. */
export const GUARANTEES = {
  1: 'Of any number of concurrent claims exactly one wins; a takeover is the same single step.',
  2: 'Only the owner of a live lease changes the record; anyone else changes nothing and is told so.',
  3: 'A completed or held record never goes back by itself.',
  4: 'A refused duplicate changes nothing in the record.',
  5: "Lease and ttl are two clocks, both the store's own; durations of weeks work.",
  6: 'Attempt number, fingerprint and steps outlive the lease; the fencing token only grows.',
  7: 'Replies are opaque bytes, equal on return.',
  8: 'Ids, owners and names are exact and arbitrary.',
  9: 'Limits refuse new records and nothing else; what an owner that died has claimed counts no longer than its lease.',
  10: 'A store that lists records tells what each is about, and finds what is held.',
} as const;

/** Number of a guarantee. */
export type Guarantee = keyof typeof GUARANTEES;

/** What a case needs from the store under test. Cases use new ids, so nothing has to be emptied. */
export interface StoreHarness {
  readonly store: IdempotencyStore;
  /** Another client of the same records, as another process would have. */
  readonly other: IdempotencyStore;
  /**
   * The unit of the durations in the cases, in milliseconds. With a manual clock, any number will
   * do. On a real server, a few calls must fit into one tick: 200 is a good start, with which the
   * suite takes about half a minute.
   */
  readonly tickMs: number;
  /**
   * Lets at least this many milliseconds pass on the store's clock, by moving it or by sleeping.
   */
  readonly elapse: (ms: number) => Promise<void>;
}

/** One promise of a store, which any test runner can check. */
export interface ContractCase {
  /** See {@link GUARANTEES}. */
  readonly guarantee: Guarantee;
  /** Behaviour in the present tense, unique in the suite. */
  readonly name: string;
  /** Rejects with an `AssertionError` if the store breaks the promise. */
  readonly run: (harness: StoreHarness) => Promise<void>;
}

export function casesOf(
  guarantee: Guarantee,
  cases: Readonly<Record<string, (harness: StoreHarness) => Promise<void>>>,
): ContractCase[] {
  return Object.entries(cases).map(([name, run]) => ({
    guarantee,
    name,
    // Cases destructure the harness, which would break methods of a class.
    run: (harness) =>
      run({
        store: harness.store,
        other: harness.other,
        tickMs: harness.tickMs,
        elapse: (ms) => harness.elapse(ms),
      }),
  }));
}
