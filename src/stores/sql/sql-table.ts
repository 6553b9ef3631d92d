import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type { Dialect } from './dialect.js';
import type { SqlExecutor } from './executor.js';
import { textOf } from './row.js';
import type { Row, Session, Statement, Values } from './session.js';

/** Options of {@link sqlTable}. */
export interface SqlTableOptions {
  /** The schema that the table is in (on MySQL and MariaDB the database). Absent: what the connection calls current. */
  readonly schema?: string;
  /**
   * The column that says when a row was deleted softly. Such rows count as absent for `version` and `state`;
   * `insertOrGet()` finds them, because a unique index does.
   */
  readonly deletedAt?: string;
}

const TABLE = Symbol.for('nestjs-idempotency:sql-table');

/** A table of the application, described by {@link sqlTable}. */
export interface SqlTable extends SqlTableOptions {
  readonly table: string;
}

/**
 * Names a table of the application for the strategies `version` and `state` and for `insertOrGet()`, where there is no
 * entity. Columns, primary key and unique indexes are read from the database, once: when the application boots, or with
 * the first call if the database cannot be reached then. Names are as the database has them.
 *
 * @throws {@link IdempotencyConfigurationError} for a name that is empty or no text
 * @example
 * const GOODS = sqlTable('goods', { deletedAt: 'deleted_at' });
 */
export function sqlTable(table: string, { schema, deletedAt }: SqlTableOptions = {}): SqlTable {
  checkText('the table of sqlTable()', table);
  if (schema !== undefined) checkText('schema of sqlTable()', schema);
  if (deletedAt !== undefined) checkText('deletedAt of sqlTable()', deletedAt);
  const described: SqlTable & { readonly [TABLE]: true } = {
    [TABLE]: true,
    table,
    ...(schema !== undefined && { schema }),
    ...(deletedAt !== undefined && { deletedAt }),
  };
  return Object.freeze(described);
}

/** By its brand: the application may have two copies of the package. */
export function isSqlTable(value: unknown): value is SqlTable {
  return typeof value === 'object' && value !== null && TABLE in value;
}

function checkText(option: string, given: unknown): void {
  if (typeof given === 'string' && given !== '' && !given.includes('\0')) return;
  throw wrongOption(option, given, 'a name', "Name it as the database does: sqlTable('goods').");
}

/** A column as the database has it. */
export interface TableColumn {
  readonly name: string;
  /** The database's own name of the type. */
  readonly type: string;
  /** How many bits its whole numbers have; absent for other types. */
  readonly bits?: number;
  readonly isUnsigned: boolean;
  readonly isUuid: boolean;
}

/** What the database knows of a table. */
export interface TableFacts {
  readonly columns: readonly TableColumn[];
  /** In the order of the key. */
  readonly primaryKey: readonly TableColumn[];
}

const statement = (name: string, text: string, parameters: readonly string[]): Statement => ({
  name: `idempotency_${name}`,
  text,
  parameters,
  returnsRows: true,
});

const COLUMNS: Readonly<Record<Dialect, Statement>> = {
  postgres: statement(
    'columns',
    `SELECT a.attname::text AS name, coalesce(base.typname, type.typname)::text AS type,
  coalesce(array_position(key.indkey::int2[], a.attnum), -1)::integer AS key_position,
  (CASE WHEN type.typtype = 'd' THEN type.typtypmod ELSE a.atttypmod END)::integer AS modifier
FROM pg_attribute AS a
JOIN pg_type AS type ON type.oid = a.atttypid
LEFT JOIN pg_type AS base ON base.oid = type.typbasetype AND type.typtype = 'd'
LEFT JOIN pg_index AS key ON key.indrelid = a.attrelid AND key.indisprimary
WHERE a.attrelid = to_regclass($1::text) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum`,
    ['path'],
  ),
  mysql: statement(
    'columns',
    `SELECT c.column_name AS name, c.data_type AS type, c.column_type AS whole, c.numeric_scale AS scale,
  coalesce(s.seq_in_index, 0) - 1 AS key_position
FROM information_schema.columns AS c
LEFT JOIN information_schema.statistics AS s ON s.table_schema = c.table_schema
  AND s.table_name = c.table_name AND s.column_name = c.column_name AND s.index_name = 'PRIMARY'
WHERE c.table_schema = coalesce(?, database()) AND c.table_name = ?
ORDER BY c.ordinal_position`,
    ['schema', 'table'],
  ),
  sqlite: statement(
    'columns',
    'SELECT name, type, pk - 1 AS key_position FROM pragma_table_info(?, ?) ORDER BY cid',
    ['table', 'schema'],
  ),
};

/** Unique indexes beside the primary key that apply to every row, are checked at once, and have whole columns. */
const UNIQUES: Readonly<Record<Dialect, Statement>> = {
  postgres: statement(
    'uniques',
    `SELECT i.indexrelid::text AS name, a.attname::text AS member
FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey::int2[])
WHERE i.indrelid = to_regclass($1::text) AND i.indisunique AND NOT i.indisprimary AND i.indimmediate
  AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND array_position(i.indkey::int2[], a.attnum) < i.indnkeyatts
ORDER BY i.indexrelid, array_position(i.indkey::int2[], a.attnum)`,
    ['path'],
  ),
  mysql: statement(
    'uniques',
    `SELECT index_name AS name, column_name AS member, sub_part AS part
FROM information_schema.statistics
WHERE table_schema = coalesce(?, database()) AND table_name = ? AND non_unique = 0
  AND index_name <> 'PRIMARY'
ORDER BY index_name, seq_in_index`,
    ['schema', 'table'],
  ),
  sqlite: statement(
    'uniques',
    `SELECT i.name AS name, c.name AS member
FROM pragma_index_list(?, ?) AS i, pragma_index_info(i.name, ?) AS c
WHERE i."unique" = 1 AND i.partial = 0 AND i.origin <> 'pk'
ORDER BY i.name, c.seqno`,
    ['table', 'schema', 'schema'],
  ),
};

type Known<T> = WeakMap<SqlExecutor, Map<SqlTable, T>>;
const factsOf: Known<TableFacts> = new WeakMap();
const uniquesOf: Known<readonly (readonly string[])[]> = new WeakMap();

/**
 * Reads what the database knows of a table, once for each executor.
 *
 * @throws {@link IdempotencyConfigurationError} for a table that is not there, or that has no primary key
 */
export async function readTable(
  session: Session,
  executor: SqlExecutor,
  dialect: Dialect,
  table: SqlTable,
): Promise<TableFacts> {
  return remember(factsOf, executor, table, async () => {
    const rows = await ask(session, COLUMNS[dialect], table, dialect);
    if (rows.length === 0) throw noTable(executor, table);
    const found = rows.map((row) => ({
      column: columnOf(dialect, row),
      position: Number(row.key_position),
    }));
    const columns = found.map(({ column }) => column);
    const primaryKey = found
      .filter(({ position }) => position >= 0)
      .sort((one, other) => one.position - other.position)
      .map(({ column }) => column);
    if (primaryKey.length === 0) throw noKey(table);
    const { deletedAt } = table;
    if (deletedAt !== undefined && !columns.some(({ name }) => name === deletedAt))
      throw noColumn('deletedAt of sqlTable()', deletedAt, table, columns);
    return { columns, primaryKey };
  });
}

/** The columns of each unique index beside the primary key. */
export function readUniques(
  session: Session,
  executor: SqlExecutor,
  dialect: Dialect,
  table: SqlTable,
): Promise<readonly (readonly string[])[]> {
  return remember(uniquesOf, executor, table, async () => {
    const indexes = new Map<string, string[]>();
    const unusable = new Set<string>();
    for (const row of await ask(session, UNIQUES[dialect], table, dialect)) {
      const name = asText(row.name);
      // A part of a text, or an expression.
      if ((row.part ?? null) !== null || row.member === null) unusable.add(name);
      indexes.set(name, [...(indexes.get(name) ?? []), asText(row.member)]);
    }
    return [...indexes].filter(([name]) => !unusable.has(name)).map(([, columns]) => columns);
  });
}

async function remember<T>(
  known: Known<T>,
  executor: SqlExecutor,
  table: SqlTable,
  read: () => Promise<T>,
): Promise<T> {
  let tables = known.get(executor);
  if (tables === undefined) known.set(executor, (tables = new Map()));
  let found = tables.get(table);
  if (found === undefined) tables.set(table, (found = await read()));
  return found;
}

async function ask(
  session: Session,
  what: Statement,
  table: SqlTable,
  dialect: Dialect,
): Promise<readonly Row[]> {
  const schema = table.schema ?? (dialect === 'sqlite' ? 'main' : null);
  const values: Values = { path: pathOf(dialect, table), schema, table: table.table };
  return (await session.query(what, values)).rows;
}

/** The quoted name of a table. */
export function pathOf(dialect: Dialect, { schema, table }: SqlTable): string {
  const parts = schema === undefined ? [table] : [schema, table];
  return parts.map((part) => quoted(dialect, part)).join('.');
}

export function quoted(dialect: Dialect, name: string): string {
  const mark = dialect === 'mysql' ? '`' : '"';
  return `${mark}${name.replaceAll(mark, mark + mark)}${mark}`;
}

const BITS: Readonly<Record<string, number>> = {
  int2: 16,
  int4: 32,
  int8: 64,
  tinyint: 8,
  smallint: 16,
  mediumint: 24,
  int: 32,
  bigint: 64,
};

function columnOf(dialect: Dialect, row: Row): TableColumn {
  const type = asText(row.type).toLowerCase();
  const bits = bitsOf(dialect, type, row);
  return {
    name: asText(row.name),
    type,
    ...(bits !== undefined && { bits }),
    isUnsigned: dialect === 'mysql' && asText(row.whole).includes('unsigned'),
    isUuid: type === 'uuid',
  };
}

/** The scale of PostgreSQL's `numeric` is in the lower bits of its modifier, which has an offset. */
const NUMERIC_OFFSET = 4;
const NUMERIC_SCALE = 0x7ff;

function bitsOf(dialect: Dialect, type: string, row: Row): number | undefined {
  if (dialect === 'sqlite') return type.includes('int') ? 64 : undefined;
  const modifier = Number(row.modifier ?? -1);
  const isWhole =
    (type === 'numeric' &&
      modifier >= NUMERIC_OFFSET &&
      ((modifier - NUMERIC_OFFSET) & NUMERIC_SCALE) === 0) ||
    (type === 'decimal' && Number(row.scale) === 0);
  return isWhole ? 64 : BITS[type];
}

/** MySQL describes itself in texts that some drivers return as bytes. */
function asText(value: unknown): string {
  return value instanceof Uint8Array ? textOf(value) : String(value);
}

export const nameOfTable = ({ schema, table }: SqlTable): string =>
  schema === undefined ? table : `${schema}.${table}`;

function noTable(executor: SqlExecutor, table: SqlTable): IdempotencyConfigurationError {
  return wrongOption(
    'the table of sqlTable()',
    nameOfTable(table),
    `a table that ${executor.name} can see`,
    'Correct the name, name the schema, or run the migrations first.',
  );
}

function noKey(table: SqlTable): IdempotencyConfigurationError {
  return wrongOption(
    'the table of sqlTable()',
    nameOfTable(table),
    'a table with a primary key',
    'Add one: rows are found by it.',
  );
}

export function noColumn(
  option: string,
  given: unknown,
  table: SqlTable,
  columns: readonly TableColumn[],
): IdempotencyConfigurationError {
  return wrongOption(
    option,
    given,
    `a column of ${nameOfTable(table)}: ${columns.map(({ name }) => name).join(', ')}`,
    'Name it as the database does.',
  );
}
