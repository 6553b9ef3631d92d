import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type {
  AcquireRequest,
  AcquireResult,
  ClaimRef,
  CompleteRequest,
  HoldRequest,
  ReleaseRequest,
  SaveStepRequest,
} from '../../engine/store.js';
import type {
  CommitFailure,
  StoreTransaction,
  TransactionRequest,
} from '../../engine/transaction.js';
import type { TableName } from '../sql/dialect.js';
import { isCrowded } from '../sql/errors.js';
import { CONNECT_WITHIN_MS } from '../sql/transaction-edge.js';
import { TransactionRecords } from '../sql/transaction-records.js';
import { checkOfWork, commit, failureOf } from './commits.js';
import { Connections } from './connections.js';
import {
  runWithHosts,
  runWithManager,
  type TransactionHost,
  transactionHostsOf,
} from './current-manager.js';
import { dialectOf } from './dialect.js';
import { checkReachable, ownRunner, RunnerEdge } from './second-connections.js';
import { openRecords, QueryRunnerSession } from './sessions.js';

/** Before another try to connect to a server that has no connection left, in milliseconds. */
const CROWDED_PAUSE_MS = 50;

/** Record and work in one transaction, on one connection of the data source. */
export class TypeOrmTransaction implements StoreTransaction {
  private readonly records: TransactionRecords;
  private readonly edge: RunnerEdge;
  private readonly warn: (problem: string) => void;
  private isOpen = true;

  private constructor(
    private readonly dataSource: DataSource,
    private readonly runner: QueryRunner,
    private readonly letGo: () => void,
    private readonly hosts: readonly TransactionHost[],
    private readonly table: TableName,
    request: TransactionRequest,
    warn: (scope: string, warning: string) => void,
  ) {
    const { secondConnection: policy = 'allow', scope = 'An operation', lockWaitMs } = request;
    const { connectWithinMs = CONNECT_WITHIN_MS } = request;
    this.warn = (problem) => warn(`${scope}, commit`, `${scope}: ${problem}.`);
    this.edge = new RunnerEdge(dataSource, runner, { policy, scope, connectWithinMs, warn });
    const { database } = dataSource.driver as { database?: string };
    const dialect = dialectOf(dataSource.options.type);
    const transaction = {
      session: new QueryRunnerSession(runner),
      keepsConnection: true,
      begin: () => runner.startTransaction(),
      rollback: () => runner.rollbackTransaction(),
    };
    this.records = new TransactionRecords(transaction, { dialect, table, lockWaitMs, database });
  }

  static async begin(
    dataSource: DataSource,
    table: TableName,
    request: TransactionRequest,
    warn: (scope: string, warning: string) => void,
  ): Promise<TypeOrmTransaction> {
    const connections = Connections.of(dataSource);
    checkReachable(dataSource);
    const hosts = await transactionHostsOf(dataSource);
    const giveUpAt = performance.now() + (request.connectWithinMs ?? CONNECT_WITHIN_MS);
    for (;;) {
      const letGo = await connections.take();
      const runner = ownRunner(dataSource);
      const own = new TypeOrmTransaction(dataSource, runner, letGo, hosts, table, request, warn);
      try {
        await runner.connect();
        await runner.startTransaction();
        return own;
      } catch (error) {
        await own.rollback();
        if (!isCrowded(error) || performance.now() > giveUpAt) throw error;
      }
      await sleep(CROWDED_PAUSE_MS);
    }
  }

  get manager(): EntityManager {
    return this.runner.manager;
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

  undoWork(): Promise<void> {
    return this.records.undoWork();
  }

  async commit(): Promise<void> {
    await commit(this.runner, this.warn);
    await this.close();
  }

  get checkWork(): (() => Promise<void>) | undefined {
    const { checkConflicts } = this.records;
    const checkDeferred = checkOfWork(this.dataSource, this.runner);
    if (checkDeferred === undefined || checkConflicts === undefined)
      return checkDeferred ?? checkConflicts;
    return async () => {
      await checkDeferred();
      await checkConflicts();
    };
  }

  get hasReachedOut(): boolean {
    return this.edge.isCrossed;
  }

  failureOf(error: unknown): CommitFailure {
    return failureOf(this.dataSource, error);
  }

  async isCommitted({ id, owner }: ClaimRef): Promise<boolean> {
    const records = openRecords(this.dataSource, this.table, { isPrepared: false });
    const view = await records.find(id);
    return view !== undefined && view.owner === owner && view.state !== 'in-flight';
  }

  async holdCommitted(request: HoldRequest): Promise<boolean> {
    const records = openRecords(this.dataSource, this.table, { isPrepared: false });
    return records.holdInFlight(request);
  }

  async rollback(): Promise<void> {
    await this.records.giveUpClaim();
    if (!this.isOpen) return;
    try {
      if (this.runner.isTransactionActive) await this.runner.rollbackTransaction();
    } catch {
      // The connection is gone, and the transaction with it.
    }
    await this.close();
  }

  run<T>(work: () => T): T {
    const { dataSource, manager, edge } = this;
    return runWithManager({ dataSource, manager, edge }, () =>
      runWithHosts(this.hosts, manager, work),
    );
  }

  private async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.edge.close();
    try {
      await this.records.dropLocks();
    } catch {
      // A connection that is gone holds no lock.
    }
    try {
      await this.runner.release();
    } catch {
      // Nothing is left to be released.
    }
    this.letGo();
  }
}
