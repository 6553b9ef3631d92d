import { setTimeout as sleep } from 'node:timers/promises';
import type {
  DeepPartial,
  EntityManager,
  EntityMetadata,
  EntityTarget,
  ObjectLiteral,
  QueryResult,
  QueryRunner,
} from 'typeorm';
import { dialectOf } from './dialect.js';
import { entityOfRow } from './entity-resource.js';
import { namesOf, type UniqueValue, uniqueValuesOf } from './saved-rows.js';
import { isPassing, type Row } from './sessions.js';

/** The row that is there now, and whether this call has put it there. */
export interface InsertOrGetResult<E> {
  /** As `findOne` gives it; a row that was deleted softly is found too. */
  readonly entity: E;
  readonly inserted: boolean;
}

/** What was in the way of the insert is not the row that its values look for. */
export class UniqueIndexConflictError extends Error {
  override readonly name = 'UniqueIndexConflictError';
}

const MOST_TRIES = 6;
const FIRST_PAUSE_MS = 2;

/**
 * Inserts a row, or finds the one that a unique index says is there already. Of any number of
 * callers at the same time exactly one inserts; the others get its row, and no error.
 *
 * The row is found by all unique indexes whose columns are in `values`, or else by the primary
 * key. A row that is there stays as it is: the other values are not written. As with
 * `manager.upsert()`, no related entities are saved and neither listeners nor subscribers are told.
 *
 * In a transaction it is part of it: the row of another transaction is waited for and, once
 * committed, found, on MySQL and MariaDB under REPEATABLE READ too. A conflict does not break off
 * PostgreSQL's transaction. What the isolation level forbids stays the database's error, upon
 * which the transaction is to be repeated: 40001 of PostgreSQL from REPEATABLE READ on, 1020 of
 * MariaDB with `innodb_snapshot_isolation`, 1213 of both MySQLs when several transactions waited for one
 * that was rolled back. Outside of a transaction such a try is repeated here.
 *
 * @param manager the data source's, or that of the transaction such as `op.manager`
 * @throws {@link IdempotencyConfigurationError} when the values cover no unique index
 * @throws {@link UniqueIndexConflictError} when another index, or only one of several, is in the way
 * @example
 * const { entity, inserted } = await insertOrGet(op.manager, Listing, { goodsId, categoryId });
 */
export async function insertOrGet<E extends ObjectLiteral>(
  manager: EntityManager,
  target: EntityTarget<E>,
  values: DeepPartial<NoInfer<E>>,
): Promise<InsertOrGetResult<E>> {
  const metadata = manager.connection.getMetadata(target);
  const unique = uniqueValuesOf(metadata, values);
  const given = manager.queryRunner;
  const runner = given ?? manager.connection.createQueryRunner('master');
  try {
    for (let tries = 1; tries <= MOST_TRIES; tries += 1) {
      const row = await insertPatiently(runner, metadata, values);
      const inserted = row !== undefined;
      const entity =
        (row && entityOfRow(runner, metadata, row)) ?? (await find(runner, metadata, unique, row));
      if (entity !== null) return { entity: entity as E, inserted };
      // The row that was in the way may be gone by now: then the next try inserts.
      await pause(tries);
    }
  } finally {
    if (given === undefined) await runner.release();
  }
  throw new UniqueIndexConflictError(
    `insertOrGet(${metadata.name}): a unique index refuses the row, and there is none with these ` +
      `values of ${namesOf(unique.map(({ column }) => column))}. Another row has some of them, or ` +
      'what another unique index wants to be unique.',
  );
}

/** In a transaction, an error ends it: only who began it can begin anew. */
async function insertPatiently(
  runner: QueryRunner,
  metadata: EntityMetadata,
  values: ObjectLiteral,
): Promise<InsertedRow> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await insertRow(runner, metadata, values);
    } catch (error) {
      if (runner.isTransactionActive || tries === MOST_TRIES || !isPassing(error)) throw error;
    }
    await pause(tries);
  }
}

function find(
  runner: QueryRunner,
  metadata: EntityMetadata,
  unique: readonly UniqueValue[],
  inserted: InsertedRow,
): Promise<ObjectLiteral | null> {
  const { driver, options } = metadata.connection;
  const query = runner.manager
    .createQueryBuilder<ObjectLiteral>(metadata.target, 'existing', runner)
    .setFindOptions({ withDeleted: true });
  for (const [at, { column, value }] of unique.entries()) {
    const name = `${driver.escape('existing')}.${driver.escape(column.databaseName)}`;
    const parameter = { [`unique_${at}`]: driver.preparePersistentValue(value, column) as unknown };
    query.andWhere(`${name} = :unique_${at}`, parameter);
  }
  // REPEATABLE READ would show what was there when the transaction began to read. The insert has
  // locked the row already.
  const isSnapshot = dialectOf(options.type) === 'mysql' && runner.isTransactionActive;
  if (isSnapshot && inserted === undefined) query.setLock('pessimistic_read');
  return query.getOne();
}

function pause(tries: number): Promise<void> {
  return sleep(Math.random() * FIRST_PAUSE_MS * 2 ** tries);
}

/** `undefined`: the row has met one that is there. Without columns where the database tells none. */
type InsertedRow = Row | undefined;

/** More than any counter reaches: tells a row that was met from one that was inserted. */
const MET = Number.MAX_SAFE_INTEGER;

/**
 * Inserts, unless a unique index is in the way: nothing else is ignored, and no transaction is
 * broken off.
 */
async function insertRow(
  runner: QueryRunner,
  metadata: EntityMetadata,
  values: ObjectLiteral,
): Promise<InsertedRow> {
  const { driver } = metadata.connection;
  const insert = runner.manager
    .createQueryBuilder(runner)
    .insert()
    .into(metadata.target as EntityTarget<ObjectLiteral>)
    .values(values)
    .updateEntity(false);
  const [text, parameters] = insert.getQueryAndParameters();
  if (driver.supportedUpsertTypes.includes('on-duplicate-key-update')) {
    const key = driver.escape(metadata.primaryColumns[0]!.databaseName);
    // By the insert id and not by the number of rows, whose meaning the flag FOUND_ROWS changes.
    const meet = `ON DUPLICATE KEY UPDATE ${key} = IF(LAST_INSERT_ID(${MET}) = 0, ${key}, ${key})`;
    const { raw }: QueryResult = await runner.query(`${text} ${meet}`, parameters, true);
    return Number((raw as { insertId: unknown }).insertId) === MET ? undefined : {};
  }
  const names = metadata.columns.map(({ databaseName }) => driver.escape(databaseName));
  // TypeORM 0.3 drops the rows of what begins with INSERT when the driver is sqlite3.
  const { records }: QueryResult<Row> = await runner.query(
    `/* insertOrGet */ ${text} ON CONFLICT DO NOTHING RETURNING ${names.join(', ')}`,
    parameters,
    true,
  );
  return records[0];
}
