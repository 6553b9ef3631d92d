import type {
  DataSource,
  EntitySubscriberInterface,
  EntityTarget,
  ObjectLiteral,
  QueryRunner,
  TransactionRollbackEvent,
  TransactionStartEvent,
  UpdateEvent,
} from 'typeorm';

/**
 * What the work itself has saved of an entity. TypeORM counts a version up when it saves, so that
 * nothing is left to be written for it.
 */
export class SavedRows implements EntitySubscriberInterface {
  /** By transaction; `unknown` after an update that does not say which rows it changed. */
  private readonly rows = new WeakMap<QueryRunner, ObjectLiteral[] | 'unknown'>();

  private constructor(private readonly entity: EntityTarget<ObjectLiteral>) {}

  static of(dataSource: DataSource, entity: EntityTarget<ObjectLiteral>): SavedRows {
    const known = dataSource.subscribers.find(
      (one): one is SavedRows => one instanceof SavedRows && one.entity === entity,
    );
    if (known !== undefined) return known;
    const rows = new SavedRows(entity);
    dataSource.subscribers.push(rows);
    return rows;
  }

  listenTo(): EntityTarget<ObjectLiteral> & (string | NewableFunction) {
    return this.entity as string | NewableFunction as never;
  }

  afterUpdate({ entity, databaseEntity, queryRunner }: UpdateEvent<ObjectLiteral>): void {
    const rows = this.rows.get(queryRunner) ?? [];
    // Only `save()` says what was in the database.
    if (rows === 'unknown' || entity === undefined || (databaseEntity as unknown) === undefined)
      this.rows.set(queryRunner, 'unknown');
    else this.rows.set(queryRunner, [...rows, entity]);
  }

  /** Drivers for SQLite have one query runner for all transactions. */
  afterTransactionStart({ queryRunner }: TransactionStartEvent): void {
    this.rows.delete(queryRunner);
  }

  /** Back to a savepoint, what was saved since is not there any more. */
  afterTransactionRollback({ queryRunner }: TransactionRollbackEvent): void {
    this.rows.delete(queryRunner);
  }

  /** The last that was saved of a row in this transaction; `undefined` when that is not known. */
  last(
    queryRunner: QueryRunner | undefined,
    isRow: (row: ObjectLiteral) => boolean,
  ): ObjectLiteral | undefined {
    const rows = queryRunner && this.rows.get(queryRunner);
    return Array.isArray(rows) ? rows.findLast(isRow) : undefined;
  }
}
