import type {
  EntityMetadata,
  EntityTarget,
  ObjectLiteral,
  QueryResult,
  QueryRunner,
} from 'typeorm';
import type { Row } from './session.js';

/** `undefined`: the row has met one that is there. Without columns where the database tells none. */
export type InsertedRow = Row | undefined;

/** More than any counter reaches: tells a row that was met from one that was inserted. */
const MET = Number.MAX_SAFE_INTEGER;

/**
 * Inserts, unless a unique index is in the way: nothing else is ignored, and no transaction is
 * broken off.
 */
export async function insertRow(
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
