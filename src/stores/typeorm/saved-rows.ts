import type {
  DataSource,
  EntityMetadata,
  EntitySubscriberInterface,
  EntityTarget,
  ObjectLiteral,
  QueryRunner,
  TransactionRollbackEvent,
  TransactionStartEvent,
  UpdateEvent,
} from 'typeorm';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';

/**
 * What the work itself has saved of an entity. TypeORM increases the version when it saves, so the
 * strategy need not write it.
 */
export class SavedRows implements EntitySubscriberInterface {
  /** Rows by transaction; `unknown` after an update that does not say which rows it changed. */
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
    // Only `save()` knows what was in the database.
    if (rows === 'unknown' || entity === undefined || (databaseEntity as unknown) === undefined)
      this.rows.set(queryRunner, 'unknown');
    else this.rows.set(queryRunner, [...rows, entity]);
  }

  /** SQLite drivers have one query runner for all transactions. */
  afterTransactionStart({ queryRunner }: TransactionStartEvent): void {
    this.rows.delete(queryRunner);
  }

  /** After a rollback to a savepoint, rows that were saved since then are gone. */
  afterTransactionRollback({ queryRunner }: TransactionRollbackEvent): void {
    this.rows.delete(queryRunner);
  }

  /** What was last saved of a row in this transaction; `undefined` if that is not known. */
  last(
    queryRunner: QueryRunner | undefined,
    isRow: (row: ObjectLiteral) => boolean,
  ): ObjectLiteral | undefined {
    const rows = queryRunner && this.rows.get(queryRunner);
    return Array.isArray(rows) ? rows.findLast(isRow) : undefined;
  }
}

type Column = EntityMetadata['columns'][number];

/** A column and the value that a row must have there, as the application writes it. */
export interface UniqueValue {
  readonly column: Column;
  readonly value: unknown;
}

/**
 * The conditions that find the existing row: every unique index that the values cover, or else the
 * primary key. The key comes last because it may be new for every try, while business values
 * identify the row.
 *
 * @throws {@link IdempotencyConfigurationError} if the values cover none
 */
export function uniqueValuesOf(metadata: EntityMetadata, values: ObjectLiteral): UniqueValue[] {
  const known = new Map<Column, unknown>();
  for (const column of metadata.columns) {
    const value = valueOf(column, values);
    // NULL never equals NULL, and only the database knows the value of an expression.
    if (value !== undefined && value !== null && typeof value !== 'function')
      known.set(column, value);
  }
  const isCovered = (columns: readonly Column[]): boolean =>
    columns.every((column) => known.has(column));
  const indexes = uniqueIndexesOf(metadata);
  const covered = indexes.filter(isCovered);
  if (covered.length === 0 && isCovered(metadata.primaryColumns))
    covered.push(metadata.primaryColumns);
  if (covered.length === 0) throw notCovered(metadata, indexes, [...known.keys()]);
  return [...new Set(covered.flat())].map((column) => ({ column, value: known.get(column) }));
}

/** The value that TypeORM inserts. For a relation, it is the key of the referenced entity. */
function valueOf(column: Column, values: ObjectLiteral): unknown {
  const value: unknown = column.getEntityValue(values);
  const { referencedColumn } = column;
  const isEntity = typeof value === 'object' && value !== null && !(value instanceof Date);
  return isEntity && referencedColumn !== undefined && !ArrayBuffer.isView(value)
    ? referencedColumn.getEntityValue(value)
    : value;
}

/** The unique indexes that apply to every row and are checked at once. */
function uniqueIndexesOf({ uniques, indices, primaryColumns }: EntityMetadata): Column[][] {
  const constraints = uniques.filter(({ deferrable }) => deferrable === undefined);
  const indexes = indices.filter(({ isUnique, where }) => isUnique && where === undefined);
  const isPrimary = (columns: readonly Column[]): boolean =>
    columns.length === primaryColumns.length && columns.every(({ isPrimary }) => isPrimary);
  return [...constraints, ...indexes]
    .map(({ columns }) => columns)
    .filter((columns) => columns.length > 0 && !isPrimary(columns));
}

function notCovered(
  metadata: EntityMetadata,
  indexes: readonly Column[][],
  given: readonly Column[],
): IdempotencyConfigurationError {
  const accepted = [metadata.primaryColumns, ...indexes].map(namesOf);
  return wrongOption(
    `values of insertOrGet(${metadata.name})`,
    `values of ${namesOf(given)}`,
    `values of all columns of a unique index or the primary key: ${accepted.join(' or ')}`,
    'Add them, or declare what is unique with @Unique() or @Index({ unique: true }).',
  );
}

/** Names of properties, never their values. */
export function namesOf(columns: readonly Column[]): string {
  return `(${columns.map(({ propertyPath }) => propertyPath).join(', ')})`;
}
