import type { Awaitable } from './awaitable.js';
import type {
  AcquireRequest,
  AcquireResult,
  ClaimRef,
  CompleteRequest,
  HoldRequest,
  IdempotencyStore,
  ReleaseRequest,
  SaveStepRequest,
} from './store.js';
import { StoreFullError } from './store.js';

/** Decides the type of `op.manager`: the entry points of databases add their type here. */
export interface OperationManagers {}

/** The type of `op.manager`: TypeORM's `EntityManager` once `nestjs-idempotency/typeorm` is imported. */
export type OperationManager = OperationManagers extends { readonly typeorm: infer Manager }
  ? Manager
  : unknown;

/**
 * What an error at the commit says about the transaction.
 *
 * - `work`: the work broke a rule of the database, such as a deferred constraint. Nothing is
 *   committed, and the error is the application's own.
 * - `conflict`: others changed the same rows, and the same work may succeed later. Nothing is
 *   committed.
 * - `unknown`: anything else. Both record and work are committed, or neither.
 */
export type CommitFailure = 'work' | 'conflict' | 'unknown';

/**
 * Decides the type of `op.tx`: the application adds its own as `tx`. With TypeORM nothing has to be added.
 *
 * @example
 * declare module 'nestjs-idempotency/contracts' {
 *   interface OperationTransactions {
 *     readonly tx: Parameters<Parameters<typeof db.transaction>[0]>[0];
 *   }
 * }
 */
export interface OperationTransactions {}

/** The type of `op.tx`: what {@link OperationTransactions} says, else that of `op.manager`. */
export type OperationTransaction = OperationTransactions extends { readonly tx: infer Tx }
  ? Tx
  : OperationManager;

/** A transaction that holds a record and the work itself. */
export interface StoreTransaction {
  /**
   * What the work writes with, such as TypeORM's `EntityManager`. Only to be read once a record is claimed,
   * because until then the transaction may begin again.
   */
  readonly manager: OperationManager;
  /**
   * Like {@link IdempotencyStore.acquire}; `in-flight` while another transaction has the record.
   */
  acquire(request: AcquireRequest): Promise<AcquireResult>;
  saveStep(request: SaveStepRequest): Promise<boolean>;
  complete(request: CompleteRequest): Promise<boolean>;
  hold(request: HoldRequest): Promise<boolean>;
  /** Releases the claim of an operation that goes on in another transaction. */
  release(request: ReleaseRequest): Promise<boolean>;
  /**
   * Undoes what was done since the claim, but keeps the claim.
   *
   * @throws {@link EndedTransactionError} if the transaction has ended already
   */
  undoWork(): Promise<void>;
  /** @throws if nothing of the transaction was committed, or if that is not known */
  commit(): Promise<void>;
  /** See {@link Claim.checkWork}; absent where the database puts nothing off. */
  readonly checkWork?: (() => Promise<void>) | undefined;
  /** True once work has used the same database beside the transaction. Absent where nobody notices that. */
  readonly hasReachedOut?: boolean;
  /** What an error of {@link commit}, of the work, or of a verb, means; absent for `unknown`. */
  failureOf?(error: unknown): CommitFailure;
  /**
   * Looks on another connection whether this owner's record is settled, so that the transaction
   * must have been committed. Asked after a commit whose answer was lost.
   */
  isCommitted?(claim: ClaimRef): Promise<boolean>;
  /**
   * Holds this owner's record from another connection if it is in flight there, so that somebody must have
   * committed the claim before the transaction has failed. `false`: it is not. Asked when the work could not be undone.
   */
  holdCommitted?(request: HoldRequest): Promise<boolean>;
  /** Undoes everything and gives the connection back to its pool. Never throws. */
  rollback(): Promise<void>;
  /** Runs code within the transaction: code that asks for the current manager gets this one. */
  run<T>(work: () => T): T;
}

/**
 * What happens to work on the same data source beside the transaction: it throws; it is logged once
 * per handler; it becomes part of the transaction, as far as the data layer allows; nothing.
 */
export type SecondConnection = 'refuse' | 'warn' | 'join' | 'allow';

/** Which transaction to begin. */
export interface TransactionRequest {
  /** Name of the data source; absent for the store's own. */
  readonly source: string | undefined;
  /**
   * How long to wait for another transaction on the same record, in milliseconds. The engine passes
   * 0: its calls wait without a connection, and then ask again.
   */
  readonly lockWaitMs: number;
  /** Absent for `allow`. */
  readonly secondConnection?: SecondConnection;
  /** What messages call the operation. */
  readonly scope?: string;
  /**
   * How long the work may wait for a second connection, in milliseconds; absent for 2000. While it
   * waits it holds its first one, so that operations could wait for each other.
   */
  readonly connectWithinMs?: number;
}

/** A store that can put its records into the transaction of the work. */
export interface TransactionalStore extends IdempotencyStore {
  /**
   * Called when the application boots.
   *
   * @throws if there is no data source with this name, or if the store cannot do with work beside the
   *   transaction what it is to do
   */
  checkSource(source: string | undefined, secondConnection?: SecondConnection): void;
  /** Names of the data sources beside the store's own; absent for none. */
  readonly sources?: readonly string[];
  /** The records in the data source with this name, for operators. */
  recordsOf?(source: string): Awaitable<IdempotencyStore>;
  beginTransaction(request: TransactionRequest): Promise<StoreTransaction>;
}

export function isTransactional(store: IdempotencyStore): store is TransactionalStore {
  return typeof (store as Partial<TransactionalStore>).beginTransaction === 'function';
}

/**
 * The transaction has ended before its work has: the database has undone it (a deadlock on MySQL), or the work has
 * sent COMMIT or ROLLBACK. What the work wrote after that was committed statement by statement.
 */
export class EndedTransactionError extends Error {
  override readonly name = 'EndedTransactionError';

  /** @param isUndone true if the database has undone everything, and nothing was sent since */
  constructor(
    readonly isUndone: boolean,
    cause?: unknown,
  ) {
    super('The transaction of the operation has ended before its handler has.', { cause });
  }
}

/** The record is larger than the server takes, so it was not sent, and the transaction goes on. */
export class UnsentError extends StoreFullError {}
