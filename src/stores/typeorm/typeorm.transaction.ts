import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  HoldRequest,
  ReleaseRequest,
  SaveStepRequest,
} from '../../engine/store.js';
import type { StoreTransaction } from '../../engine/transaction.js';
import type { TableName } from '../sql/dialect.js';
import { TransactionRecords } from '../sql/transaction-records.js';
import { Connections } from './connections.js';
import {
  runWithHosts,
  runWithManager,
  type TransactionHost,
  transactionHostsOf,
} from './current-manager.js';
import { dialectOf } from './dialect.js';
import { QueryRunnerSession } from './sessions.js';

/** Record and work in one transaction, on one connection of the data source. */
export class TypeOrmTransaction implements StoreTransaction {
  private readonly records: TransactionRecords;
  private isOpen = true;

  private constructor(
    private readonly dataSource: DataSource,
    private readonly runner: QueryRunner,
    private readonly letGo: () => void,
    private readonly hosts: readonly TransactionHost[],
    table: TableName,
    lockWaitMs: number,
  ) {
    const { database } = dataSource.driver as { database?: string };
    const dialect = dialectOf(dataSource.options.type);
    const transaction = {
      session: new QueryRunnerSession(runner),
      begin: () => runner.startTransaction(),
      rollback: () => runner.rollbackTransaction(),
    };
    this.records = new TransactionRecords(transaction, { dialect, table, lockWaitMs, database });
  }

  static async begin(
    dataSource: DataSource,
    table: TableName,
    lockWaitMs: number,
  ): Promise<TypeOrmTransaction> {
    const hosts = await transactionHostsOf(dataSource);
    const letGo = await Connections.of(dataSource).take();
    const runner = dataSource.createQueryRunner('master');
    const transaction = new TypeOrmTransaction(dataSource, runner, letGo, hosts, table, lockWaitMs);
    try {
      await runner.connect();
      await runner.startTransaction();
      return transaction;
    } catch (error) {
      await transaction.rollback();
      throw error;
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
    await this.runner.commitTransaction();
    await this.close();
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
    const { dataSource, manager } = this;
    return runWithManager({ dataSource, manager }, () => runWithHosts(this.hosts, manager, work));
  }

  private async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
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
