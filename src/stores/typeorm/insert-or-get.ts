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
import { isPassing } from '../sql/errors.js';
import { UniqueIndexConflictError } from '../sql/insert-or-get.js';
import type { Row } from '../sql/session.js';
import { dialectOf } from './dialect.js';
import { entityOfRow } from './entity-resource.js';
import { namesOf, type UniqueValue, uniqueValuesOf } from './saved-rows.js';

/** The row, and whether this call inserted it. */
export interface InsertOrGetResult<E> {
  /** The entity as `findOne` returns it. A soft-deleted row is found too. */
  readonly entity: E;
  readonly inserted: boolean;
}

const MOST_TRIES = 6;
const FIRST_PAUSE_MS = 2;

/**
 * Inserts a row, or finds the existing one by a unique index. Of any number of concurrent callers,
 * exactly one inserts. The others get its row, and no error.
 *
 * The row is found by all unique indexes whose columns are in `values`, or else by the primary key.
 * An existing row is not changed. As with `manager.upsert()`, no related entities are saved, and
 * listeners and subscribers are not called.
 *
 * In a transaction it takes part in it. It waits for another transaction that inserts the same row,
 * and finds that row once it is committed, even under REPEATABLE READ on MySQL and MariaDB. A
 * conflict does not abort PostgreSQL's transaction. If the isolation level forbids the result, the
 * database's error is thrown, and you must repeat the transaction: 40001 on PostgreSQL from
 * REPEATABLE READ on, 1020 on MariaDB with `innodb_snapshot_isolation`, 1213 on MySQL and MariaDB
 * if several transactions waited for one that was rolled back. Outside of a transaction, such
 * errors are retried.
 *
 * @param manager the data source's, or that of the transaction such as `op.manager`
 * @throws {@link IdempotencyConfigurationError} if the values cover no unique index
 * @throws {@link UniqueIndexConflictError} if another unique index refuses the row, or if the
 *   indexes match different rows
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
      // The conflicting row may be gone by now. Then the next try inserts.
      await pause(tries);
    }
  } finally {
    if (given === undefined) await runner.release();
  }
  throw new UniqueIndexConflictError(
    `insertOrGet(${metadata.name}): a unique index refuses the row, but no row has these ` +
      `values of ${namesOf(unique.map(({ column }) => column))}. Another row has some of them, or a ` +
      'value that another unique index covers.',
  );
}

/** An error ends a transaction. Only the code that began it can begin again. */
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
  // REPEATABLE READ would show the state when the transaction began to read. The insert has already
  // locked the row.
  const isSnapshot = dialectOf(options.type) === 'mysql' && runner.isTransactionActive;
  if (isSnapshot && inserted === undefined) query.setLock('pessimistic_read');
  return query.getOne();
}

function pause(tries: number): Promise<void> {
  return sleep(Math.random() * FIRST_PAUSE_MS * 2 ** tries);
}

/** `undefined`: there already is such a row. Without columns if the database returns none. */
type InsertedRow = Row | undefined;

/** Higher than any counter, to tell an existing row from an inserted one. */
const MET = Number.MAX_SAFE_INTEGER;

/**
 * Inserts, unless a unique index refuses the row. Ignores no other error, and does not abort a
 * transaction.
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
    // Uses the insert id, because the flag FOUND_ROWS changes the meaning of the number of rows.
    const meet = `ON DUPLICATE KEY UPDATE ${key} = IF(LAST_INSERT_ID(${MET}) = 0, ${key}, ${key})`;
    const { raw }: QueryResult = await runner.query(`${text} ${meet}`, parameters, true);
    return Number((raw as { insertId: unknown }).insertId) === MET ? undefined : {};
  }
  const names = metadata.columns.map(({ databaseName }) => driver.escape(databaseName));
  // With the driver sqlite3, TypeORM 0.3 drops the rows of statements that begin with INSERT.
  const { records }: QueryResult<Row> = await runner.query(
    `/* insertOrGet */ ${text} ON CONFLICT DO NOTHING RETURNING ${names.join(', ')}`,
    parameters,
    true,
  );
  return records[0];
}
