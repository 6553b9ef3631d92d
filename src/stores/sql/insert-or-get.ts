import { setTimeout as sleep } from 'node:timers/promises';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import { connectionOf, type HasTransactions } from './current-transaction.js';
import type { SqlExecutor } from './executor.js';
import { RetryingSession, type Session } from './session.js';
import {
  nameOfTable,
  noColumn,
  readTable,
  readUniques,
  type SqlTable,
  type TableColumn,
  type TableFacts,
} from './sql-table.js';
import { Query, runQuery, sessionOn } from './table-resource.js';

/** A value of a row. Times and JSON as text, the way the database takes them. */
export type RowValue = string | number | bigint | boolean | Uint8Array | null;

/** The row, and whether this call inserted it. */
export interface InsertOrGetRow<Row> {
  /** By the names of its columns, with the values as the driver returns them. */
  readonly row: Row;
  readonly inserted: boolean;
}

/** The insert conflicts with a row that is not the one its values identify. */
export class UniqueIndexConflictError extends Error {
  override readonly name = 'UniqueIndexConflictError';
}

const MOST_TRIES = 6;
const FIRST_PAUSE_MS = 2;

/**
 * Inserts a row, or finds the existing one by a unique index. Of any number of concurrent callers, exactly one
 * inserts. The others get its row, and no error. An existing row is not changed.
 *
 * The row is found by all unique indexes whose columns are in `values`, or else by the primary key. In an operation with
 * `transaction` it takes part in its transaction, as `insertOrGet()` of `nestjs-idempotency/typeorm` does, and an error that
 * the isolation level forces is thrown. Elsewhere such errors are retried.
 *
 * @param of the executor of the database, or the store over it
 * @param values by the names of the columns; `undefined` leaves a column out
 * @throws {@link IdempotencyConfigurationError} if the table has no such column, or the values cover no unique index
 * @throws {@link UniqueIndexConflictError} if another unique index refuses the row, or if the indexes match different rows
 * @example
 * const LISTINGS = sqlTable('listings');
 * const { row, inserted } = await insertOrGet(executor, LISTINGS, { id, goods_id, category_id });
 */
export async function insertOrGet<Row = Readonly<Record<string, unknown>>>(
  of: SqlExecutor | HasTransactions<unknown>,
  table: SqlTable,
  values: Readonly<Record<string, RowValue | undefined>>,
): Promise<InsertOrGetRow<Row>> {
  const executor = 'executor' in of ? of.executor : of;
  const { dialect } = executor;
  if (dialect === undefined) throw noDialect(executor);
  const connection = connectionOf(executor);
  const plain = sessionOn(executor, connection);
  const facts = await readTable(plain, executor, dialect, table);
  const uniques = await readUniques(plain, executor, dialect, table);
  const given = givenOf(table, facts, values);
  const place: Place = {
    // An error ends a transaction. Only the code that began it can begin again.
    session: connection === undefined ? new RetryingSession(plain) : plain,
    query: () => new Query(dialect),
    isInTransaction: connection !== undefined,
    table,
    facts,
  };
  const unique = uniqueOf(table, facts, uniques, given);
  for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
    const { row: made, inserted } = await insert(place, given);
    const row = made ?? (await find(place, unique, given, inserted));
    if (row !== undefined) return { row: row as Row, inserted };
    // The conflicting row may be gone by now. Then the next try inserts.
    await sleep(Math.random() * FIRST_PAUSE_MS * 2 ** tries);
  }
  throw new UniqueIndexConflictError(
    `insertOrGet(${nameOfTable(table)}): a unique index refuses the row, but no row has these values of ` +
      `(${unique.join(', ')}). Another row has some of them, or a value that another unique index covers.`,
  );
}

interface Place {
  readonly session: Session;
  readonly query: () => Query;
  readonly isInTransaction: boolean;
  readonly table: SqlTable;
  readonly facts: TableFacts;
}

interface Given {
  readonly column: TableColumn;
  readonly value: RowValue;
}

type FoundRow = Readonly<Record<string, unknown>>;

/** Higher than any counter, to tell an existing row from an inserted one. */
const MET = Number.MAX_SAFE_INTEGER;

/** Inserts, unless a unique index refuses the row. Ignores no other error, and does not abort a transaction. */
async function insert(
  { session, query: newQuery, table, facts }: Place,
  given: readonly Given[],
): Promise<{ readonly row?: FoundRow | undefined; readonly inserted: boolean }> {
  const query = newQuery();
  const names = given.map(({ column }) => query.name(column.name)).join(', ');
  const list = given.map(({ column, value }) => placed(query, column, value)).join(', ');
  const text = `INSERT INTO ${query.table(table)} (${names}) VALUES (${list})`;
  if (query.dialect === 'mysql') {
    const key = query.name(facts.primaryKey[0]!.name);
    // Uses the insert id, because the flag FOUND_ROWS changes the meaning of the number of rows.
    const meet = `ON DUPLICATE KEY UPDATE ${key} = IF(LAST_INSERT_ID(${MET}) = 0, ${key}, ${key})`;
    const { insertId, changed } = await runQuery(session, query, `${text} ${meet}`, false);
    return { inserted: insertId !== MET && changed > 0 };
  }
  const returned = `ON CONFLICT DO NOTHING RETURNING ${selected(query, facts)}`;
  const { rows } = await runQuery(session, query, `${text} ${returned}`, true);
  const [row] = rows;
  return { row: row && named(facts, row), inserted: row !== undefined };
}

async function find(
  { session, query: newQuery, table, facts, isInTransaction }: Place,
  unique: readonly string[],
  given: readonly Given[],
  inserted: boolean,
): Promise<FoundRow | undefined> {
  const query = newQuery();
  const conditions = given
    .filter(({ column }) => unique.includes(column.name))
    .map(({ column, value }) => `${query.name(column.name)} = ${placed(query, column, value)}`);
  // REPEATABLE READ would show the state when the transaction began to read.
  const isSnapshot = query.dialect === 'mysql' && isInTransaction && !inserted;
  const text = `SELECT ${selected(query, facts)} FROM ${query.table(table)} WHERE ${conditions.join(' AND ')}${isSnapshot ? ' LOCK IN SHARE MODE' : ''}`;
  const { rows } = await runQuery(session, query, text, true);
  return rows[0] && named(facts, rows[0]);
}

/** Under names of our own, because some data layers rename columns. */
function selected(query: Query, { columns }: TableFacts): string {
  return columns.map(({ name }, at) => `${query.name(name)} AS c${at}`).join(', ');
}

function named({ columns }: TableFacts, row: FoundRow): FoundRow {
  return Object.fromEntries(columns.map(({ name }, at) => [name, row[`c${at}`]]));
}

function placed(query: Query, column: TableColumn, value: RowValue): string {
  // Drivers disagree about what a boolean is as a parameter.
  if (typeof value === 'boolean')
    return query.dialect === 'postgres' ? String(value) : value ? '1' : '0';
  return typeof value === 'string' || typeof value === 'bigint'
    ? query.value(column, value)
    : query.bind(value);
}

/** @throws {@link IdempotencyConfigurationError} for a name that is no column */
function givenOf(
  table: SqlTable,
  { columns }: TableFacts,
  values: Readonly<Record<string, RowValue | undefined>>,
): Given[] {
  const given: Given[] = [];
  for (const [name, value] of Object.entries(values)) {
    const column = columns.find((each) => each.name === name);
    if (column === undefined) throw noColumn('values of insertOrGet()', name, table, columns);
    if (value !== undefined) given.push({ column, value });
  }
  return given;
}

/**
 * The columns that find the existing row: those of every unique index that the values cover, or else of the primary key,
 * which may be new for every try, while business values identify the row.
 *
 * @throws {@link IdempotencyConfigurationError} if the values cover none
 */
function uniqueOf(
  table: SqlTable,
  { primaryKey }: TableFacts,
  uniques: readonly (readonly string[])[],
  given: readonly Given[],
): string[] {
  // NULL never equals NULL.
  const known = given.filter(({ value }) => value !== null).map(({ column }) => column.name);
  const key = primaryKey.map(({ name }) => name);
  const isCovered = (columns: readonly string[]): boolean =>
    columns.every((name) => known.includes(name));
  const covered = uniques.filter(isCovered);
  if (covered.length > 0) return [...new Set(covered.flat())];
  if (isCovered(key)) return key;
  throw wrongOption(
    `values of insertOrGet(${nameOfTable(table)})`,
    `values of (${known.join(', ')})`,
    `values of all columns of a unique index or the primary key: ${[key, ...uniques].map((columns) => `(${columns.join(', ')})`).join(' or ')}`,
    'Add them, or create the unique index.',
  );
}

function noDialect({ name }: SqlExecutor): IdempotencyConfigurationError {
  return wrongOption(
    'the executor of insertOrGet()',
    name,
    'an executor that tells its dialect',
    "Say whose SQL the database speaks, such as fromKysely(db, { dialect: 'postgres' }).",
  );
}
