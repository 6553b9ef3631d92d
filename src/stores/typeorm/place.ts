import type { DataSource } from 'typeorm';
import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  ExtendRequest,
  HoldRequest,
  IssueRequest,
  ListRequest,
  PurgingStore,
  RecordPage,
  RecordView,
  ReleaseRequest,
  SaveStepRequest,
} from '../../engine/store.js';
import type {
  StoreTransaction,
  TransactionalStore,
  TransactionRequest,
} from '../../engine/transaction.js';
import type { TableName } from '../sql/dialect.js';
import type { SqlRecords } from '../sql/records.js';
import type { Warnings } from '../sql/transaction-edge.js';
import { openRecords } from './sessions.js';
import { TypeOrmTransaction } from './typeorm.transaction.js';

/** What the places of one store have in common. */
interface PlaceOptions {
  readonly isPrepared: boolean;
  readonly warnings: Warnings;
}

/** The records in one data source, whatever the current call's own is. */
export class Place implements TransactionalStore, PurgingStore {
  readonly records: SqlRecords;

  constructor(
    readonly dataSource: DataSource,
    readonly table: TableName,
    private readonly options: PlaceOptions,
  ) {
    this.records = openRecords(dataSource, table, { isPrepared: options.isPrepared });
  }

  acquire(request: AcquireRequest): Promise<AcquireResult> {
    return this.records.acquire(request);
  }

  extend(request: ExtendRequest): Promise<boolean> {
    return this.records.extend(request);
  }

  complete(request: CompleteRequest): Promise<boolean> {
    return this.records.complete(request);
  }

  release(request: ReleaseRequest): Promise<boolean> {
    return this.records.release(request);
  }

  hold(request: HoldRequest): Promise<boolean> {
    return this.records.hold(request);
  }

  saveStep(request: SaveStepRequest): Promise<boolean> {
    return this.records.saveStep(request);
  }

  issue(request: IssueRequest): Promise<boolean> {
    return this.records.issue(request);
  }

  find(id: string): Promise<RecordView | undefined> {
    return this.records.find(id);
  }

  forget(id: string): Promise<boolean> {
    return this.records.forget(id);
  }

  list(request: ListRequest): Promise<RecordPage> {
    return this.records.list(request);
  }

  purgeExpired(limit: number): Promise<number> {
    return this.records.purgeExpired(limit);
  }

  /** Names were checked by the store that this is a place of. */
  checkSource(): void {}

  beginTransaction(request: TransactionRequest): Promise<StoreTransaction> {
    const { dataSource, table, options } = this;
    return TypeOrmTransaction.begin(dataSource, table, request, options.warnings.once);
  }
}
