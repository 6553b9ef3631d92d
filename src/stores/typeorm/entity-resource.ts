import {
  type DataSource,
  type EntityManager,
  type EntityMetadata,
  In,
  LessThan,
  Not,
  type ObjectLiteral,
  type QueryRunner,
} from 'typeorm';
import type {
  Expectation,
  Resource,
  ResourceRequest,
  Resources,
  ResourceValue,
} from '../../engine/resource.js';
import type { CommitFailure, OperationManager } from '../../engine/transaction.js';
import { failureOf } from './commits.js';
import type { Row } from '../sql/session.js';
import { CONNECT_WITHIN_MS, Warnings } from '../sql/transaction-edge.js';
import { Connections } from './connections.js';
import {
  currentDataSource,
  currentManager,
  runWithHosts,
  runWithManager,
  transactionHostsOf,
} from './current-manager.js';
import { dialectOf } from './dialect.js';
import { EntityColumn, nested } from './entity-column.js';
import { SavedRows } from './saved-rows.js';
import { RunnerEdge } from './second-connections.js';

/** Options of {@link TypeOrmResources}. */
export interface TypeOrmResourcesOptions {
  /** The initialized data source of the entities, or a function that returns it. */
  readonly dataSource: DataSource | (() => DataSource | Promise<DataSource>);
}

/**
 * Entities for the strategies `version` and `state` if records are kept elsewhere, such as in
 * Redis. The work has its own transaction, which commits before the reply is recorded. If the
 * process dies between the two, the work is done, and a retry is told so (412 or 409).
 *
 * @example
 * IdempotencyModule.forRoot({ store: new RedisStore({ client }), resources: new TypeOrmResources({ dataSource }) })
 */
export class TypeOrmResources implements Resources {
  private readonly warnings = new Warnings((warning) => process.emitWarning(warning));

  constructor(private readonly options: TypeOrmResourcesOptions) {}

  resource(request: ResourceRequest): Resource {
    return new EntityResource(
      () => this.dataSource(),
      request,
      (work) => this.transaction(request, work),
    );
  }

  private async transaction<T>(
    { secondConnection: policy = 'allow', entity }: ResourceRequest,
    work: (manager?: EntityManager) => Promise<T>,
  ): Promise<T> {
    const dataSource = await this.dataSource();
    const scope = `An operation on ${typeof entity === 'function' ? entity.name : String(entity)}`;
    const options = { policy, scope, connectWithinMs: CONNECT_WITHIN_MS, warn: this.warnings.once };
    const hosts = await transactionHostsOf(dataSource);
    const letGo = await Connections.of(dataSource).take();
    try {
      return await dataSource.transaction(async (manager) => {
        const edge = new RunnerEdge(dataSource, manager.queryRunner!, options);
        try {
          return await runWithManager({ dataSource, manager, edge }, () =>
            runWithHosts(hosts, manager, () => work(manager)),
          );
        } finally {
          edge.close();
        }
      });
    } finally {
      letGo();
    }
  }

  private async dataSource(): Promise<DataSource> {
    const { dataSource } = this.options;
    return typeof dataSource === 'function' ? dataSource() : dataSource;
  }
}

interface Found {
  readonly dataSource: DataSource;
  readonly column: EntityColumn;
}

/** A column of an entity. Works in the transaction of the current code. */
export class EntityResource implements Resource {
  readonly name: string;
  private readonly columns = new WeakMap<DataSource, EntityColumn>();
  private last: DataSource | undefined;

  constructor(
    private readonly dataSource: () => Promise<DataSource>,
    private readonly request: ResourceRequest,
    readonly transaction?: <T>(work: (manager?: OperationManager) => Promise<T>) => Promise<T>,
  ) {
    const { entity, kind, column = kind } = request;
    this.name = `${typeof entity === 'function' ? entity.name : String(entity)}.${column}`;
  }

  failureOf(error: unknown): CommitFailure {
    return this.last === undefined ? 'unknown' : failureOf(this.last, error);
  }

  async check(): Promise<void> {
    const { dataSource, column } = await this.findOwn();
    if (this.request.kind === 'version') SavedRows.of(dataSource, column.entity);
  }

  async canHold(value: ResourceValue): Promise<boolean> {
    return (await this.findOwn()).column.canHold(value);
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

  /** In the data source of the current transaction, which may be that of one tenant. */
  private find(): Promise<Found> {
    const current = currentDataSource();
    return current === undefined ? this.findOwn() : Promise.resolve(this.in(current));
  }

  private async findOwn(): Promise<Found> {
    return this.in(await this.dataSource());
  }

  private in(dataSource: DataSource): Found {
    const column = this.columns.get(dataSource) ?? EntityColumn.find(dataSource, this.request);
    this.columns.set(dataSource, column);
    this.last = dataSource;
    return { dataSource, column };
  }
}

function conditionOf(expected: Expectation | undefined, value: ResourceValue): unknown {
  if (expected === undefined) return Not(value);
  return 'oneOf' in expected ? In([...expected.oneOf]) : LessThan(expected.below);
}

/**
 * The entity as a SELECT of this row would return it; `undefined` if that SELECT is needed, because
 * the entity is more than the columns of the row, or because the row lacks them.
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
