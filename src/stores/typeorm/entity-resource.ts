import { type DataSource, In, LessThan, Not, type ObjectLiteral } from 'typeorm';
import type {
  Expectation,
  Resource,
  ResourceRequest,
  ResourceValue,
} from '../../engine/resource.js';
import type { OperationManager } from '../../engine/transaction.js';
import { currentManager } from './current-manager.js';
import { dialectOf } from './dialect.js';
import { EntityColumn, nested } from './entity-column.js';
import { SavedRows } from './saved-rows.js';

/** A column of an entity. Works in whatever transaction the present code runs in. */
export class EntityResource implements Resource {
  readonly name: string;
  private found: { readonly dataSource: DataSource; readonly column: EntityColumn } | undefined;

  constructor(
    private readonly dataSource: () => Promise<DataSource>,
    private readonly request: ResourceRequest,
    readonly transaction?: <T>(work: (manager?: OperationManager) => Promise<T>) => Promise<T>,
  ) {
    const { entity, kind, column = kind } = request;
    this.name = `${typeof entity === 'function' ? entity.name : String(entity)}.${column}`;
  }

  async check(): Promise<void> {
    const { dataSource, column } = await this.find();
    if (this.request.kind === 'version') SavedRows.of(dataSource, column.entity);
  }

  async canHold(value: ResourceValue): Promise<boolean> {
    return (await this.find()).column.canHold(value);
  }

  async readForUpdate(id: readonly string[]): Promise<ResourceValue | null | undefined> {
    const { dataSource, column } = await this.find();
    const where = column.whereId(id);
    if (where === undefined) return undefined;
    const query = currentManager(dataSource)
      .createQueryBuilder(column.entity, 'row')
      .select(`row.${column.column.propertyPath}`)
      .where(where);
    // SQLite has one transaction at a time, and no locks on rows.
    if (dialectOf(dataSource.options.type) !== 'sqlite') query.setLock('pessimistic_write');
    const row = (await query.getRawOne()) as ObjectLiteral | undefined;
    if (row === undefined) return undefined;
    const [raw] = Object.values(row) as unknown[];
    return dataSource.driver.prepareHydratedValue(raw, column.column) as ResourceValue | null;
  }

  async compareAndSet(
    id: readonly string[],
    expected: Expectation | undefined,
    value: ResourceValue,
  ): Promise<boolean> {
    const { dataSource, column } = await this.find();
    const where = column.whereId(id);
    if (where === undefined) return false;
    const manager = currentManager(dataSource);
    const { propertyPath } = column.column;
    if (expected === undefined) {
      const saved = SavedRows.of(dataSource, column.entity).last(manager.queryRunner, (row) =>
        column.isRow(row, id),
      );
      if (saved && String(column.column.getEntityValue(saved)) === String(value)) return true;
    }
    const condition = nested(propertyPath, conditionOf(expected, value));
    const { affected } = await manager
      .createQueryBuilder()
      .update(column.entity)
      .set(nested(propertyPath, value))
      .where({ ...where, ...condition })
      .execute();
    return affected !== 0;
  }

  private async find(): Promise<NonNullable<EntityResource['found']>> {
    if (this.found !== undefined) return this.found;
    const dataSource = await this.dataSource();
    return (this.found = { dataSource, column: EntityColumn.find(dataSource, this.request) });
  }
}

function conditionOf(expected: Expectation | undefined, value: ResourceValue): unknown {
  if (expected === undefined) return Not(value);
  return 'oneOf' in expected ? In([...expected.oneOf]) : LessThan(expected.below);
}
