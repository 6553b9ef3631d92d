import type {
  DataSource,
  EntitySubscriberInterface,
  EntityTarget,
  ObjectLiteral,
  QueryRunner,
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

  /** The last that was saved of a row in this transaction; `undefined` when that is not known. */
  last(
    queryRunner: QueryRunner | undefined,
    isRow: (row: ObjectLiteral) => boolean,
  ): ObjectLiteral | undefined {
    const rows = queryRunner && this.rows.get(queryRunner);
    return Array.isArray(rows) ? rows.findLast(isRow) : undefined;
  }
}
