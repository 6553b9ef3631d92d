import {
  type DataSource,
  type EntityMetadata,
  type EntityTarget,
  IsNull,
  type ObjectLiteral,
} from 'typeorm';
import type { ColumnMetadata } from 'typeorm/metadata/ColumnMetadata.js';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type { ResourceRequest, ResourceValue } from '../../engine/resource.js';
import type { Dialect } from '../sql/dialect.js';
import { dialectOf } from './dialect.js';

/** The number of bits of each integer column type, except in SQLite. */
const INTEGER_BITS: Readonly<Record<string, number>> = {
  number: 32,
  int: 32,
  integer: 32,
  int4: 32,
  serial: 32,
  mediumint: 24,
  smallint: 16,
  int2: 16,
  tinyint: 8,
  bigint: 64,
  int8: 64,
  bigserial: 64,
  smallserial: 16,
  numeric: 64,
  decimal: 64,
};
const INTEGER = /^-?\d+$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** A column of an entity, and what finds its row. */
export class EntityColumn {
  private constructor(
    readonly entity: EntityTarget<ObjectLiteral>,
    readonly metadata: EntityMetadata,
    readonly column: ColumnMetadata,
  ) {}

  /** @throws {@link IdempotencyConfigurationError} for an entity or a column that does not exist */
  static find(dataSource: DataSource, request: ResourceRequest): EntityColumn {
    const entity = request.entity as EntityTarget<ObjectLiteral>;
    if (!dataSource.hasMetadata(entity)) throw unknownEntity(entity);
    const metadata = dataSource.getMetadata(entity);
    const found = new EntityColumn(entity, metadata, columnOf(metadata, request));
    const { primaryColumns, name } = metadata;
    if (primaryColumns.length !== request.idParts) {
      throw wrongOption(
        'id',
        `${request.idParts} part(s)`,
        `one for each primary column of ${name}: ${primaryColumns.map(({ propertyPath }) => propertyPath).join(', ')}`,
        'List a source for each of them, in this order.',
      );
    }
    return found;
  }

  /**
   * Finds the row by its key; `undefined` for a key that no row can have. For example, if the key
   * is a number, MySQL would compare `'1 or so'` as 1, and PostgreSQL would fail.
   */
  whereId(id: readonly string[]): ObjectLiteral | undefined {
    const where: ObjectLiteral = {};
    for (const [index, column] of this.metadata.primaryColumns.entries()) {
      const part = id[index];
      if (part === undefined || !fits(column, part)) return undefined;
      Object.assign(where, nested(column.propertyPath, part));
    }
    const deleted = this.metadata.deleteDateColumn;
    return deleted ? { ...where, ...nested(deleted.propertyPath, IsNull()) } : where;
  }

  /** False for a value that does not fit the column. */
  canHold(value: ResourceValue): boolean {
    return fits(this.column, String(value));
  }

  /** True for the row with this key. */
  isRow(row: ObjectLiteral, id: readonly string[]): boolean {
    return this.metadata.primaryColumns.every(
      (column, index) => String(column.getEntityValue(row)) === id[index],
    );
  }
}

function columnOf(metadata: EntityMetadata, { kind, column }: ResourceRequest): ColumnMetadata {
  const found =
    column === undefined ? metadata.versionColumn : metadata.findColumnWithPropertyPath(column);
  if (found === undefined) throw unknownColumn(metadata, kind, column);
  if (kind === 'version' && bitsOf(found) === undefined) throw noNumber(metadata, found);
  return found;
}

function fits(column: ColumnMetadata, part: string): boolean {
  const bits = bitsOf(column);
  if (bits === undefined) return !isUuid(column) || UUID.test(part);
  if (!INTEGER.test(part)) return false;
  const value = BigInt(part);
  // Other databases ignore it.
  const isUnsigned = column.unsigned && dialectOfColumn(column) === 'mysql';
  return value === (isUnsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value));
}

/** `undefined` for a column that does not hold whole numbers. */
function bitsOf(column: ColumnMetadata): number | undefined {
  const { type, scale } = column;
  const bits = INTEGER_BITS[typeof type === 'function' ? type.name.toLowerCase() : type];
  if (bits === undefined || scale) return undefined;
  return dialectOfColumn(column) === 'sqlite' ? 64 : bits;
}

function dialectOfColumn({ entityMetadata }: ColumnMetadata): Dialect {
  return dialectOf(entityMetadata.connection.options.type);
}

function isUuid({ type, generationStrategy }: ColumnMetadata): boolean {
  return type === 'uuid' || generationStrategy === 'uuid';
}

/** `{ a: { b: value } }` for `a.b`, the way TypeORM names members of embedded objects. */
export function nested(path: string, value: unknown): ObjectLiteral {
  return path
    .split('.')
    .reduceRight<unknown>((within, name) => ({ [name]: within }), value) as ObjectLiteral;
}

function unknownEntity(entity: unknown): IdempotencyConfigurationError {
  return wrongOption(
    'entity',
    entity,
    'an entity of the data source',
    'Add it to the `entities` of the data source, or correct it.',
  );
}

function unknownColumn(
  { name, columns }: EntityMetadata,
  kind: string,
  column: string | undefined,
): IdempotencyConfigurationError {
  return wrongOption(
    'column',
    column,
    `a property of ${name}: ${columns.map(({ propertyPath }) => propertyPath).join(', ')}`,
    kind === 'version'
      ? "Put @VersionColumn() on the property that holds the version, or name it, such as column: 'revision'."
      : 'Correct the name.',
  );
}

function noNumber({ name }: EntityMetadata, column: ColumnMetadata): IdempotencyConfigurationError {
  return wrongOption(
    'column',
    `${name}.${column.propertyPath} of type ${String(typeof column.type === 'function' ? column.type.name : column.type)}`,
    'a column of whole numbers',
    'Name the column that increases with every change.',
  );
}
