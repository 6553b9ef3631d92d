import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  HoldRequest,
  IdempotencyStore,
  SaveStepRequest,
} from './store.js';

/** What `op.manager` is: entry points of databases add their type here. */
export interface OperationManagers {}

/** The type of `op.manager`: TypeORM's `EntityManager` once `nestjs-idempotency/typeorm` is imported. */
export type OperationManager = OperationManagers extends { readonly typeorm: infer Manager }
  ? Manager
  : unknown;

/** A transaction that holds a record and the work itself. */
export interface StoreTransaction {
  /** What the work writes with, such as TypeORM's `EntityManager`. */
  readonly manager: OperationManager;
  /** As {@link IdempotencyStore.acquire}; `in-flight` while another transaction has the record. */
  acquire(request: AcquireRequest): Promise<AcquireResult>;
  saveStep(request: SaveStepRequest): Promise<boolean>;
  complete(request: CompleteRequest): Promise<boolean>;
  hold(request: HoldRequest): Promise<boolean>;
  /** Undoes what was done since the claim, and keeps the claim. */
  undoWork(): Promise<void>;
  /** @throws when nothing of the transaction is there, or when that is not known */
  commit(): Promise<void>;
  /** Undoes everything and lets go of the connection. Never throws. */
  rollback(): Promise<void>;
  /** Runs code within the transaction: whatever asks for the current manager gets this one. */
  run<T>(work: () => T): T;
}

export interface TransactionRequest {
  /** Name of the data source; absent for the store's own. */
  readonly source: string | undefined;
  /** How long another transaction on the same record is waited for, in milliseconds. */
  readonly lockWaitMs: number;
}

/** A store that can put its records into the transaction of the work. */
export interface TransactionalStore extends IdempotencyStore {
  /** @throws when there is no data source of this name; asked when the application boots */
  checkSource(source: string | undefined): void;
  beginTransaction(request: TransactionRequest): Promise<StoreTransaction>;
}

export function isTransactional(store: IdempotencyStore): store is TransactionalStore {
  return typeof (store as Partial<TransactionalStore>).beginTransaction === 'function';
}
