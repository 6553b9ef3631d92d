import { createHash } from 'node:crypto';
import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  HoldRequest,
  Refusing,
  ReleaseRequest,
  SaveStepRequest,
} from '../../engine/store.js';
import { EndedTransactionError } from '../../engine/transaction.js';
import { fingerprintsMatch } from '../../engine/waiting.js';
import type { Dialect, TableName } from './dialect.js';
import { isPassing, isWithoutSavepoint } from './errors.js';
import { recordsInTransaction, recordsOn } from './open-records.js';
import { RECORD_LOCKS, type RecordLock, type TakenLocks, undoToMark } from './record-lock.js';
import type { SqlRecords } from './records.js';
import type { Session } from './session.js';

const MOST_RETRIES = 5;
/** After so many, what may be a record that another transaction has is taken for one. */
const FEW_RETRIES = 2;
/** How long a claim waits at least when something other than its record held it up: then doubled. */
const FIRST_PATIENCE_MS = 16;
const MOST_PATIENCE_MS = 512;

/** A transaction that may begin again as long as nothing is claimed in it. */
export interface Restartable {
  /** Statements of the transaction; between {@link rollback} and {@link begin}, of none. */
  readonly session: Session;
  /** False if it may begin again on another connection, which has no locks of the one before. */
  readonly keepsConnection: boolean;
  rollback(): Promise<void>;
  begin(): Promise<void>;
}

/** Which records, and what is agreed on about them. */
export interface TransactionRecordsOptions {
  readonly dialect: Dialect;
  readonly table: TableName;
  /** How long to wait for another transaction on the same record, in milliseconds. */
  readonly lockWaitMs: number;
  /** The current database, if its name is known: databases of one server share the names of locks. */
  readonly database: string | undefined;
}

/** The records that are claimed in a transaction, and the locks on them. */
export class TransactionRecords {
  private readonly records: SqlRecords;
  /** As {@link records}, without a lock on what is read. */
  private readonly committed: SqlRecords;
  private readonly lock: RecordLock;
  private readonly locks: string[] = [];
  private readonly claims = new Map<
    string,
    { readonly request: AcquireRequest; keptAtMs: number }
  >();
  /** A record is there: the transaction cannot start over any more. */
  private isMarked = false;
  private isWanted = true;
  private isSerializable = false;
  private claiming: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly transaction: Restartable,
    private readonly options: TransactionRecordsOptions,
  ) {
    const { session } = transaction;
    const { dialect, table } = options;
    this.records = recordsInTransaction(session, dialect, table);
    this.committed = recordsOn(session, dialect, table);
    this.lock = RECORD_LOCKS[dialect];
  }

  acquire(request: AcquireRequest): Promise<AcquireResult> {
    const claiming = this.claim(request);
    this.claiming = claiming.catch(() => undefined);
    return claiming;
  }

  async saveStep(request: SaveStepRequest): Promise<boolean> {
    await this.keepClaim(request.id);
    return this.records.saveStep(request);
  }

  async complete(request: CompleteRequest): Promise<boolean> {
    await this.keepClaim(request.id);
    return this.records.complete(request);
  }

  async hold(request: HoldRequest): Promise<boolean> {
    await this.keepClaim(request.id);
    return this.records.hold(request);
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    await this.keepClaim(request.id);
    return this.records.release(request);
  }

  /** Nobody else sees the lease before the commit, so it is only renewed if the work took long. */
  private async keepClaim(id: string): Promise<void> {
    const claim = this.claims.get(id);
    if (claim === undefined || performance.now() - claim.keptAtMs < claim.request.leaseMs / 2)
      return;
    await this.records.keepClaim(claim.request);
    claim.keptAtMs = performance.now();
  }

  /**
   * Finds out early whether others have committed what undoes this transaction: PostgreSQL tells it with the next
   * statement that reads. Absent where nothing is told so late.
   */
  get checkConflicts(): (() => Promise<void>) | undefined {
    const [id] = this.claims.keys();
    if (!this.isSerializable || id === undefined) return undefined;
    return async () => void (await this.committed.find(id));
  }

  /** @throws {@link EndedTransactionError} */
  async undoWork(): Promise<void> {
    const { session } = this.transaction;
    const isUndone = await this.lock.isUndone?.(session);
    try {
      await undoToMark(session);
    } catch (error) {
      throw isWithoutSavepoint(error) ? new EndedTransactionError(isUndone === true, error) : error;
    }
  }

  /**
   * Nobody waits for a claim that is late. Its statements must not come after the end of the
   * transaction: they would not be undone.
   */
  async giveUpClaim(): Promise<void> {
    this.isWanted = false;
    await this.claiming;
  }

  /** Drops locks that do not end with the transaction. */
  async dropLocks(): Promise<void> {
    const names = this.locks.splice(0);
    await this.lock.drop(this.transaction.session, names);
  }

  /**
   * Under REPEATABLE READ and above, a claim that had to wait may have to look again; and one that
   * was held up by something else than its record does not know yet whether it is free.
   */
  private async claim(request: AcquireRequest): Promise<AcquireResult> {
    let waitMs = this.options.lockWaitMs;
    for (let retry = 0; ; retry += 1) {
      try {
        return await this.tryToAcquire(request, waitMs);
      } catch (error) {
        const isPatient = retry >= FEW_RETRIES || waitMs >= MOST_PATIENCE_MS;
        if (this.lock.isTaken(error) || (isPatient && this.lock.mayBeTaken(error))) {
          await this.backToMark();
          return this.takenBy(request);
        }
        if (!this.isWanted) throw error;
        if (this.lock.isHeldUp(error) && waitMs < MOST_PATIENCE_MS)
          waitMs = Math.max(FIRST_PATIENCE_MS, 2 * waitMs);
        else if (this.isMarked || retry >= MOST_RETRIES || !isPassing(error)) throw error;
      }
      await this.backToMark();
      if (!this.isMarked) await this.transaction.begin();
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
    await this.lock.mark(this.transaction.session);
    this.isMarked = true;
    this.claims.set(request.id, { request, keptAtMs: performance.now() });
    return result;
  }

  private async takeLocks(
    request: AcquireRequest,
    name: string,
    waitMs: number,
  ): Promise<TakenLocks> {
    const { lock } = this;
    const { session } = this.transaction;
    if (request.bucket !== undefined && lock.takeCounted !== undefined)
      return lock.takeCounted(session, name, waitMs, request, this.options.table);
    const taken = await lock.take(session, name, waitMs);
    if (taken === 'serializable') this.isSerializable = true;
    return { names: taken === false ? [] : [name] };
  }

  /** After an error PostgreSQL answers nothing more in the transaction. */
  private async backToMark(): Promise<void> {
    if (this.isMarked) await undoToMark(this.transaction.session);
    else {
      if (!this.transaction.keepsConnection) await this.dropLocks();
      await this.transaction.rollback();
    }
    if (this.lock.endsWithTransaction) this.locks.length = 0;
  }

  /** Databases on one server share the names of locks. */
  private lockName(id: string): string {
    const { database = '', table: name } = this.options;
    const { schema = database, table } = name;
    return createHash('sha256').update(`${schema}.${table}.${id}`).digest('hex');
  }

  /** Whoever has the record may only be reading it: another duplicate of a finished operation. */
  private async takenBy({ id, fingerprint }: AcquireRequest): Promise<Refusing> {
    const record = await this.committed.find(id);
    if (record !== undefined && !fingerprintsMatch(record.fingerprint, fingerprint))
      return { outcome: 'mismatch', fingerprint: record.fingerprint };
    if (record?.reply !== undefined) return { outcome: 'completed', reply: record.reply };
    if (record?.state === 'held') return { outcome: 'held', reason: record.reason ?? '' };
    // It lasts as long as the other transaction, which nobody knows.
    return { outcome: 'in-flight', leaseRemainingMs: Infinity };
  }
}
