import type { OperationTransaction, TransactionalStore } from '../../engine/transaction.js';

/** The guarantees of a store whose records can be in the transaction of the work, by number. */
export const TRANSACTION_GUARANTEES = {
  1: 'Record and work are committed together, or neither is.',
  2: 'Work that is undone leaves its record, and nothing else.',
  3: 'Of concurrent transactions on one record one goes on; the others are told so within their wait.',
  4: 'Work takes part in its own transaction, and in no other.',
  5: 'A commit that fails throws, and nothing of it is there.',
  6: 'Every transaction gives its connection back.',
} as const;

/** Number of a guarantee of {@link TRANSACTION_GUARANTEES}. */
export type TransactionGuarantee = keyof typeof TRANSACTION_GUARANTEES;

/** What a case needs from the store under test, and from the rows of an application. */
export interface TransactionHarness {
  readonly store: TransactionalStore;
  /** Another client of the same records, as another process would have. */
  readonly other: TransactionalStore;
  /** Inserts a row of the application with this id, as a handler would with `op.tx`. Twice the same id fails. */
  readonly write: (tx: OperationTransaction, id: string) => Promise<unknown>;
  /** As `write`, but the row makes the commit fail, such as by a deferred constraint; absent where nothing can. */
  readonly writeUncommittable?: (tx: OperationTransaction, id: string) => Promise<unknown>;
  /** Whether there is a committed row with this id; read outside of any transaction. */
  readonly isWritten: (id: string) => Promise<boolean>;
  /** What the work finds as its transaction without getting it passed; absent where there is no such thing. */
  readonly current?: () => unknown;
  /** How many transactions `store` can have open at once; with 1 they run one after the other. */
  readonly connections: number;
}

/** One promise about transactions, which any test runner can check. */
export interface TransactionCase {
  /** See {@link TRANSACTION_GUARANTEES}. */
  readonly guarantee: TransactionGuarantee;
  /** Behaviour in the present tense, unique in the suite. */
  readonly name: string;
  /** Rejects with an `AssertionError` if the store breaks the promise. */
  readonly run: (harness: TransactionHarness) => Promise<void>;
}
