import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  ClaimRef,
  HoldRequest,
  ReleaseRequest,
  SaveStepRequest,
} from '../../engine/store.js';
import type {
  CommitFailure,
  OperationManager,
  StoreTransaction,
} from '../../engine/transaction.js';
import { outerTransaction, runInTransaction } from './current-transaction.js';
import type { Dialect, TableName } from './dialect.js';
import { commitFailureOf, driverErrorOf } from './errors.js';
import type { SqlExecutor } from './executor.js';
import { ConnectionSession, ExecutorSession } from './executor-session.js';
import { recordsOn } from './open-records.js';
import { type OpenTransaction, openTransaction } from './open-transaction.js';
import type { Statement } from './session.js';
import type { TransactionEdge } from './transaction-edge.js';
import { TransactionRecords } from './transaction-records.js';

/** What a transaction needs of its store. */
interface SqlTransactionOptions<Tx> {
  readonly executor: SqlExecutor<Tx>;
  readonly dialect: Dialect;
  readonly table: TableName;
  readonly lockWaitMs: number;
  readonly edge: TransactionEdge;
  /** Whether the database has constraints that it may check only at the commit. */
  readonly isDeferring: () => boolean;
}

const CHECK: Statement = {
  name: 'idempotency_check_work',
  text: 'SET CONSTRAINTS ALL IMMEDIATE',
  parameters: [],
  returnsRows: false,
};

/** Record and work in one transaction of the application's data layer. */
export class SqlTransaction<Tx> implements StoreTransaction {
  private readonly records: TransactionRecords;
  private open: OpenTransaction<Tx> | undefined;

  private constructor(
    private readonly options: SqlTransactionOptions<Tx>,
    begun: OpenTransaction<Tx>,
  ) {
    const { executor } = options;
    this.open = begun;
    this.records = new TransactionRecords(
      {
        session: new ConnectionSession(executor, () => this.open?.connection),
        keepsConnection: false,
        begin: async () => {
          this.open = await openTransaction(executor);
          options.edge.isOpen = true;
        },
        rollback: () => this.end((open) => open.rollback()),
      },
      { ...options, database: undefined },
    );
  }

  static async begin<Tx>(options: SqlTransactionOptions<Tx>): Promise<SqlTransaction<Tx>> {
    return new SqlTransaction(options, await openTransaction(options.executor));
  }

  /** Another one after the claim has begun again. */
  get manager(): OperationManager {
    return this.running.connection.tx as OperationManager;
  }

  acquire(request: AcquireRequest): Promise<AcquireResult> {
    return this.records.acquire(request);
  }

  saveStep(request: SaveStepRequest): Promise<boolean> {
    return this.records.saveStep(request);
  }

  complete(request: CompleteRequest): Promise<boolean> {
    return this.records.complete(request);
  }

  hold(request: HoldRequest): Promise<boolean> {
    return this.records.hold(request);
  }

  release(request: ReleaseRequest): Promise<boolean> {
    return this.records.release(request);
  }

  /** Has everything written and checked now, so that errors of the work are the handler's own. */
  get checkWork(): (() => Promise<void>) | undefined {
    const { connection } = this.running;
    const { executor, isDeferring } = this.options;
    const { checkConflicts } = this.records;
    const isPutOff = connection.flush !== undefined || checkConflicts !== undefined;
    if (!isPutOff && !isDeferring()) return undefined;
    return async () => {
      await connection.flush?.();
      if (isDeferring()) await new ConnectionSession(executor, () => connection).query(CHECK, {});
      await checkConflicts?.();
    };
  }

  get hasReachedOut(): boolean {
    return this.options.edge.isCrossed;
  }

  failureOf(error: unknown): CommitFailure {
    const { executor } = this.options;
    return commitFailureOf(executor.errorOf?.(error) ?? driverErrorOf(error));
  }

  async isCommitted({ id, owner }: ClaimRef): Promise<boolean> {
    const { executor, dialect, table } = this.options;
    const record = await recordsOn(new ExecutorSession(executor), dialect, table).find(id);
    const isSettled = record?.state === 'completed' || record?.state === 'held';
    return isSettled && record.owner === owner;
  }

  async holdCommitted(request: HoldRequest): Promise<boolean> {
    const { executor, dialect, table } = this.options;
    return recordsOn(new ExecutorSession(executor), dialect, table).holdInFlight(request);
  }

  async undoWork(): Promise<void> {
    await this.records.undoWork();
    await this.running.connection.undone?.();
  }

  async commit(): Promise<void> {
    await this.dropLocks();
    await this.end((open) => open.commit());
  }

  async rollback(): Promise<void> {
    await this.records.giveUpClaim();
    await this.dropLocks();
    await this.end((open) => open.rollback());
  }

  run<T>(work: () => T): T {
    const open = this.running;
    const { executor, edge } = this.options;
    const { connection } = open;
    const { tx } = connection;
    const isOpen = (): boolean => this.open === open;
    const outer = outerTransaction();
    const current = { executor, tx, connection, isOpen, edge, outer };
    return open.run(() => runInTransaction(current, work));
  }

  private get running(): OpenTransaction<Tx> {
    if (this.open !== undefined) return this.open;
    throw new Error('The transaction of the operation has ended.');
  }

  private async end(how: (open: OpenTransaction<Tx>) => Promise<void>): Promise<void> {
    const { open } = this;
    this.open = undefined;
    this.options.edge.isOpen = false;
    if (open !== undefined) await how(open);
  }

  /** While the connection is still ours. Whoever takes them now waits for the row a moment longer. */
  private async dropLocks(): Promise<void> {
    try {
      if (this.open !== undefined) await this.records.dropLocks();
    } catch {
      // A connection that is gone holds no lock; and what else is wrong, the end of the transaction tells.
    }
  }
}
