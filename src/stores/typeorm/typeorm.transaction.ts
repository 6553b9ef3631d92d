import { createHash } from 'node:crypto';
import type { DataSource, EntityManager, QueryRunner } from 'typeorm';
import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  HoldRequest,
  Refusing,
  SaveStepRequest,
} from '../../engine/store.js';
import { fingerprintsMatch } from '../../engine/waiting.js';
import type { StoreTransaction } from '../../engine/transaction.js';
import { Connections } from './connections.js';
import {
  runWithHosts,
  runWithManager,
  type TransactionHost,
  transactionHostsOf,
} from './current-manager.js';
import { dialectOf, type TableName } from './dialect.js';
import { recordsInTransaction, recordsOn } from './open-records.js';
import { isPassing, QueryRunnerSession } from './sessions.js';
import { RECORD_LOCKS, type RecordLock, SAVEPOINT, type TakenLocks } from './record-lock.js';
import type { SqlRecords } from './records.js';

const MOST_RETRIES = 5;
/** How long a claim waits at least when something other than its record held it up: then doubled. */
const FIRST_PATIENCE_MS = 16;
const MOST_PATIENCE_MS = 512;

/** Record and work in one transaction, on one connection of the data source. */
export class TypeOrmTransaction implements StoreTransaction {
  private readonly records: SqlRecords;
  /** As {@link records}, without a lock on what is read. */
  private readonly committed: SqlRecords;
  private readonly lock: RecordLock;
  private readonly locks: string[] = [];
  /** A record is there: the transaction cannot start over any more. */
  private isMarked = false;
  private isOpen = true;
  private isWanted = true;
  private claiming: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly dataSource: DataSource,
    private readonly runner: QueryRunner,
    private readonly letGo: () => void,
    private readonly lockWaitMs: number,
    private readonly hosts: readonly TransactionHost[],
    private readonly table: TableName,
  ) {
    const { type } = dataSource.options;
    const session = new QueryRunnerSession(runner);
    this.records = recordsInTransaction(session, type, table);
    this.committed = recordsOn(session, type, table);
    this.lock = RECORD_LOCKS[dialectOf(type)];
  }

  static async begin(
    dataSource: DataSource,
    table: TableName,
    lockWaitMs: number,
  ): Promise<TypeOrmTransaction> {
    const hosts = await transactionHostsOf(dataSource);
    const letGo = await Connections.of(dataSource).take();
    const runner = dataSource.createQueryRunner('master');
    const transaction = new TypeOrmTransaction(dataSource, runner, letGo, lockWaitMs, hosts, table);
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
    const claiming = this.claim(request);
    this.claiming = claiming.catch(() => undefined);
    return claiming;
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

  async undoWork(): Promise<void> {
    await this.runner.query(`ROLLBACK TO SAVEPOINT ${SAVEPOINT}`);
  }

  async commit(): Promise<void> {
    await this.runner.commitTransaction();
    await this.close();
  }

  async rollback(): Promise<void> {
    this.isWanted = false;
    // Nobody waits for a claim that is late. Its statements must not come after the end: they
    // would not be undone.
    await this.claiming;
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

  /**
   * Under REPEATABLE READ and above, a claim that had to wait may have to look again; and one that
   * was held up by something else than its record does not know yet whether it is free.
   */
  private async claim(request: AcquireRequest): Promise<AcquireResult> {
    let waitMs = this.lockWaitMs;
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.tryToAcquire(request, waitMs);
      } catch (error) {
        if (this.lock.isTaken(error)) {
          await this.backToMark();
          return this.takenBy(request);
        }
        if (!this.isWanted) throw error;
        if (this.lock.isHeldUp(error) && waitMs < MOST_PATIENCE_MS)
          waitMs = Math.max(FIRST_PATIENCE_MS, 2 * waitMs);
        else if (this.isMarked || retry >= MOST_RETRIES || !isPassing(error)) throw error;
      }
      await this.backToMark();
      if (!this.isMarked) await this.runner.startTransaction();
    }
  }

  private async tryToAcquire(request: AcquireRequest, waitMs: number): Promise<AcquireResult> {
    const name = this.lockName(request.id);
    if (!this.locks.includes(name)) {
      const { names, limited } = await this.takeLocks(request, name, waitMs);
      this.locks.push(...names);
      if (names.length === 0) return this.takenBy(request);
      if (limited !== undefined) return limited;
    }
    const result = await this.records.acquire(request);
    if (result.outcome !== 'acquired') return result;
    await this.lock.mark(this.runner);
    this.isMarked = true;
    return result;
  }

  private async takeLocks(
    request: AcquireRequest,
    name: string,
    waitMs: number,
  ): Promise<TakenLocks> {
    const { lock, runner, table } = this;
    if (request.bucket !== undefined && lock.takeCounted !== undefined)
      return lock.takeCounted(runner, name, waitMs, request, table);
    return { names: (await lock.take(runner, name, waitMs)) ? [name] : [] };
  }

  /** After an error PostgreSQL answers nothing more in the transaction. */
  private async backToMark(): Promise<void> {
    if (this.isMarked) await this.undoWork();
    else await this.runner.rollbackTransaction();
    if (this.lock.endsWithTransaction) this.locks.length = 0;
  }

  /** Databases on one server share the names of locks. */
  private lockName(id: string): string {
    const { database = '' } = this.dataSource.driver as { database?: string };
    const { schema = database, table } = this.table;
    return createHash('sha256').update(`${schema}.${table}.${id}`).digest('hex');
  }

  /** Whoever has the record may only be reading it: another duplicate of a finished operation. */
  private async takenBy({ id, fingerprint }: AcquireRequest): Promise<Refusing> {
    const record = await this.committed.find(id);
    if (record !== undefined && !fingerprintsMatch(record.fingerprint, fingerprint))
      return { outcome: 'mismatch', fingerprint: record.fingerprint };
    if (record?.reply !== undefined) return { outcome: 'completed', reply: record.reply };
    if (record?.state === 'held') return { outcome: 'held', reason: record.reason ?? '' };
    return { outcome: 'in-flight', leaseRemainingMs: 0 };
  }

  private async close(): Promise<void> {
    if (!this.isOpen) return;
    this.isOpen = false;
    try {
      await this.lock.drop(this.runner, this.locks);
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
