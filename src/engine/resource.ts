import { AsyncLocalStorage } from 'node:async_hooks';
import type { Awaitable } from './awaitable.js';
import type { IdempotencyErrorCode } from './refusals.js';
import type { CommitFailure, OperationManager, SecondConnection } from './transaction.js';

/** What a version or a state is: text or a number. */
export type ResourceValue = string | number | bigint;

/** What a column must hold before it is set; absent means anything. */
export type Expectation =
  { readonly oneOf: readonly ResourceValue[] } | { readonly below: ResourceValue };

/**
 * One column of one kind of row, which the strategies `version` and `state` compare and set. There
 * is one for TypeORM's entities; an application implements its own for anything else.
 *
 * Both verbs run within the transaction of the work.
 */
export interface Resource {
  /** Its name in errors, such as `Goods.version`. */
  readonly name: string;
  /**
   * Called once when the application boots.
   *
   * @throws {@link IdempotencyConfigurationError} for a row or a column that does not exist
   */
  check?(): Awaitable<void>;
  /**
   * False for a number that does not fit the column: then the call is refused with 400. If absent,
   * every number is tried.
   */
  canHold?(value: ResourceValue): Awaitable<boolean>;
  /**
   * What the column holds, with the row locked until the transaction ends (`SELECT … FOR UPDATE`);
   * `undefined` if there is no such row.
   *
   * @param id the parts of the row's key, as the call sent them
   */
  readForUpdate(id: readonly string[]): Awaitable<ResourceValue | null | undefined>;
  /**
   * Sets the column in one statement if it holds what is expected. `false`: it does not, or there
   * is no such row. Then nothing was changed.
   */
  compareAndSet(
    id: readonly string[],
    expected: Expectation | undefined,
    value: ResourceValue,
  ): Awaitable<boolean>;
  /**
   * Runs the work in a transaction that commits when it resolves and rolls back when it rejects.
   * Its argument becomes `op.manager`. Absent if the transaction belongs to the store
   * (`TypeOrmStore`) and contains the record as well.
   */
  transaction?<T>(work: (manager?: OperationManager) => Promise<T>): Promise<T>;
  /** What an error at the commit of {@link transaction} means; absent for `unknown`. */
  failureOf?(error: unknown): CommitFailure;
}

/** What names a {@link Resource}. */
export interface ResourceRequest {
  /** An entity of an object-relational mapper, as it was declared. */
  readonly entity: unknown;
  readonly kind: 'version' | 'state';
  /** The property of the column; absent if there is only one. */
  readonly column: string | undefined;
  /** How many parts the key of a row has. */
  readonly idParts: number;
  /** Name of the data source; absent for the store's own. */
  readonly source: string | undefined;
  /**
   * What happens to work beside a transaction that is not the store's
   * ({@link Resource.transaction}); absent for `allow`.
   */
  readonly secondConnection?: SecondConnection;
}

/** Knows the rows of an object-relational mapper. */
export interface Resources {
  resource(request: ResourceRequest): Resource;
}

export function isResource(value: unknown): value is Resource {
  const { name, readForUpdate, compareAndSet } = (value ?? {}) as Partial<Resource>;
  return (
    typeof value === 'object' &&
    typeof name === 'string' &&
    typeof readForUpdate === 'function' &&
    typeof compareAndSet === 'function'
  );
}

export function hasResources(value: unknown): value is Resources {
  return typeof (value as Partial<Resources> | undefined)?.resource === 'function';
}

/** Why the work may not begin. */
export interface Unmet {
  readonly code: IdempotencyErrorCode;
  /** Replaces the status in the table, if it depends on the form of the call. */
  readonly status?: number;
  /** Replaces the advice in the table, if more is known. */
  readonly detail?: string;
  /** More members for the problem details, such as the current state. */
  readonly members?: Readonly<Record<string, string | number>>;
}

/** What must be true before the work may begin. Made for one call. */
export interface Precondition {
  /** Called by the owner, within the transaction. A refusal releases the claim. */
  check(): Awaitable<Unmet | undefined>;
  /** Called after the work has succeeded, within the transaction. */
  conclude?(): Awaitable<void>;
  /** Where the work's transaction comes from if the store's records cannot be part of one. */
  readonly transactions?: WorkTransactions;
}

/** A transaction of the work alone, without the record. */
export interface WorkTransaction {
  /** What the work writes with, if it has a manager. */
  readonly manager?: OperationManager;
  /** Runs code within the transaction. */
  run<T>(work: () => T): T;
  /** @throws if nothing of the work was committed, or if that is not known */
  commit(): Promise<void>;
  /** Never throws. */
  rollback(): Promise<void>;
}

/** Where transactions of the work alone come from. */
export interface WorkTransactions {
  begin(): Promise<WorkTransaction>;
  /** See {@link Resource.failureOf}. */
  failureOf?(error: unknown): CommitFailure;
}

/** Runs `work` within a transaction: commits when it resolves, rolls back when it rejects. */
type RunInTransaction = <T>(work: (manager?: OperationManager) => Promise<T>) => Promise<T>;

/** Makes a transaction fail, so that its work is undone. */
const UNDONE = new Error('The work must be undone.');

/** Turns a transaction that runs a function into one that begins here and ends elsewhere. */
export function beginWork(transaction: RunInTransaction): Promise<WorkTransaction> {
  return new Promise((resolve, reject) => {
    let whole: Promise<void>;
    const work = (manager?: OperationManager): Promise<void> =>
      new Promise((commit, undo) =>
        resolve({
          manager,
          // The work sees whatever the transaction put into its async context.
          run: AsyncLocalStorage.snapshot(),
          async commit() {
            commit();
            await whole;
          },
          async rollback() {
            undo(UNDONE);
            await whole.catch(() => undefined);
          },
        }),
      );
    whole = transaction(work);
    whole.catch(reject);
  });
}
