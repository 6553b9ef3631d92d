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

type Column = EntityMetadata['columns'][number];

/** A column, and the value that a row has to have there; as the application writes it. */
export interface UniqueValue {
  readonly column: Column;
  readonly value: unknown;
}

/**
 * What finds the row that the values meet: every unique index that they cover, or else the primary
 * key. The key counts last because it may be a new one for every try, while a row is the same by
 * what is unique about it in nature.
 *
 * @throws {@link IdempotencyConfigurationError} when the values cover none
 */
export function uniqueValuesOf(metadata: EntityMetadata, values: ObjectLiteral): UniqueValue[] {
  const known = new Map<Column, unknown>();
  for (const column of metadata.columns) {
    const value = valueOf(column, values);
    // NULL meets no other NULL, and what an expression yields only the database knows.
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

/** As TypeORM reads it for an insert: of a relation, the key of the entity that is referred to. */
function valueOf(column: Column, values: ObjectLiteral): unknown {
  const value: unknown = column.getEntityValue(values);
  const { referencedColumn } = column;
  const isEntity = typeof value === 'object' && value !== null && !(value instanceof Date);
  return isEntity && referencedColumn !== undefined && !ArrayBuffer.isView(value)
    ? referencedColumn.getEntityValue(value)
    : value;
}

/** Those that hold for every row, at once. */
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
    'Give them, or declare what is unique with @Unique() or @Index({ unique: true }).',
  );
}

/** Names of properties; never what is in them. */
export function namesOf(columns: readonly Column[]): string {
  return `(${columns.map(({ propertyPath }) => propertyPath).join(', ')})`;
}
