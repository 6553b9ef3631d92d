import type { EntityMetadata, ObjectLiteral, QueryRunner } from 'typeorm';
import { dialectOf } from './dialect.js';
import type { Row } from './session.js';

/**
 * The entity as a SELECT of this row would make it; `undefined` where it takes that SELECT,
 * because the entity is more than the columns of the row, or the row is without them.
 */
export function entityOfRow(
  runner: QueryRunner,
  metadata: EntityMetadata,
  row: Row,
): ObjectLiteral | undefined {
  if (Object.keys(row).length === 0 || !isPlain(metadata)) return undefined;
  const { driver } = metadata.connection;
  const entity = metadata.create(runner, { fromDeserializer: true }) as ObjectLiteral;
  for (const column of metadata.columns) {
    if (column.isVirtual || !column.isSelect) continue;
    column.setEntityValue(entity, driver.prepareHydratedValue(row[column.databaseName], column));
  }
  return entity;
}

function isPlain(metadata: EntityMetadata): boolean {
  const { driver, options, subscribers } = metadata.connection;
  const isSqlite = dialectOf(options.type) === 'sqlite';
  const readByFunction = isSqlite ? ['jsonb'] : driver.spatialTypes.map(String);
  return (
    metadata.eagerRelations.length === 0 &&
    metadata.relationIds.length === 0 &&
    metadata.afterLoadListeners.length === 0 &&
    metadata.childEntityMetadatas.length === 0 &&
    !metadata.columns.some(
      (each) => each.isVirtualProperty || readByFunction.includes(String(each.type)),
    ) &&
    !subscribers.some((subscriber) => subscriber.afterLoad !== undefined)
  );
}
