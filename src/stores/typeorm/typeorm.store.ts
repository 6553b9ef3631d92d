import type { DataSource, EntityMetadata } from 'typeorm';
import {
  type IdempotencyConfigurationError,
  wrongOption,
} from '../../engine/configuration-error.js';
import type { Resource, ResourceRequest, Resources } from '../../engine/resource.js';
import type {
  AcquireRequest,
  AcquireResult,
  CompleteRequest,
  ExtendRequest,
  HoldRequest,
  IdempotencyStore,
  IssueRequest,
  ListRequest,
  PurgingStore,
  RecordPage,
  RecordView,
  ReleaseRequest,
  SaveStepRequest,
} from '../../engine/store.js';
import type {
  StoreTransaction,
  TransactionalStore,
  TransactionRequest,
} from '../../engine/transaction.js';
import { findDeferred } from './commits.js';
import { outliveConnections } from './connections.js';
import { checkServer } from '../sql/check-server.js';
import { checkTable, checkWrites } from '../sql/check-table.js';
import { checkName, DEFAULT_TABLE, type TableName } from '../sql/dialect.js';
import { type PurgeOptions, purgeEach, purgeOptions, PurgeTimer } from '../sql/purge-timer.js';
import { Warnings } from '../sql/transaction-edge.js';
import { dialectOf } from './dialect.js';
import { EntityResource } from './entity-resource.js';
import { transactionHostsOf } from './current-manager.js';
import { LIMITS, TABLE } from './migrations.js';
import { Place } from './place.js';
import { DataSourceSession } from './sessions.js';

/** What {@link TypeOrmStore} is made of. */
export interface TypeOrmStoreOptions {
  /**
   * A data source of the application, initialized, or a function that gives it. The function is asked
   * when the application boots, and then for each call, in the call's own context: it may give each
   * tenant's own. A call keeps to the one that it began with, and calls of different data sources never
   * meet. They stay the application's: the store never destroys them.
   */
  readonly dataSource: DataSource | (() => DataSource | Promise<DataSource>);
  /**
   * Other data sources that `@Idempotent({ transaction: 'name' })` may name, for work in another
   * database. Each needs the table of the records as well.
   * @default none
   */
  readonly sources?: Readonly<
    Record<string, DataSource | (() => DataSource | Promise<DataSource>)>
  >;
  /**
   * The table of the records: letters, digits and underscores, 54 at most.
   * @default 'idempotency_records'
   */
  readonly table?: string;
  /**
   * The schema that the table is in (on MySQL and MariaDB the database). Absent: the one of the
   * data source's options, else what the connection calls current.
   */
  readonly schema?: string;
  /**
   * On PostgreSQL: give every statement a name, so that a connection plans it once. To be switched
   * off behind a pooler that hands a connection to somebody else after each transaction, unless it
   * keeps track of names. Statements with a name are not seen by TypeORM's logger.
   * @default true
   */
  readonly preparedStatements?: boolean;
  /**
   * How the store deletes expired records in the background; `false`: not at all, so that
   * `purgeExpired` must be called from elsewhere. Expiry does not depend on it.
   * @default { everyMs: 60_000, batch: 1_000 }
   */
  readonly purge?: Partial<PurgeOptions> | false;
}

/**
 * Keeps records in a table of the application's database: PostgreSQL, MySQL, MariaDB or SQLite, on
 * the database's clock.
 *
 * A first call is two statements, claim and reply; a replay or a refusal one that writes nothing
 * (MySQL and MariaDB: two). The table is made by `CreateIdempotencyRecords1763700000000`.
 *
 * @example
 * const dataSource = new DataSource({
 *   type: 'postgres',
 *   url: process.env.DATABASE_URL,
 *   migrations: [CreateIdempotencyRecords1763700000000],
 *   migrationsRun: true,
 * });
 * const store = new TypeOrmStore({ dataSource: await dataSource.initialize() });
 */
export class TypeOrmStore implements TransactionalStore, PurgingStore, Resources {
  private readonly options: TypeOrmStoreOptions;
  private readonly purge: PurgeOptions | undefined;
  /** The store's own place, where it is the same for every call. */
  private fixed: Place | undefined;
  private readonly places = new Map<DataSource, Place>();
  private purgeTimer: PurgeTimer | undefined;
  /** Present where the data source may depend on the call. */
  readonly ofCall: IdempotencyStore['ofCall'];
  private warn: (warning: string) => void = (warning) => process.emitWarning(warning);
  private readonly warnings = new Warnings((warning) => this.warn(warning));

  /** @throws {@link IdempotencyConfigurationError} for an option with a wrong value */
  constructor(options: TypeOrmStoreOptions) {
    const { dataSource, table, schema, purge = {} } = options;
    if (typeof dataSource !== 'function' && !isDataSource(dataSource)) refuse(dataSource);
    if (table !== undefined) checkName('table of TypeOrmStore', table);
    if (schema !== undefined) checkName('schema of TypeOrmStore', schema);
    this.options = options;
    if (typeof dataSource === 'function') this.ofCall = () => this.place();
    this.purge = purge === false ? undefined : purgeOptions('TypeOrmStore', purge);
  }

  /** @throws {@link IdempotencyConfigurationError} for a database that cannot keep records */
  async start(warn: (warning: string) => void, largestReplyBytes = 0): Promise<void> {
    this.warn = warn;
    for (const source of [undefined, ...this.sources]) {
      const place = await this.place(source);
      const { dataSource, records, table } = place;
      if (!dataSource.isInitialized) throw notInitialized(source);
      await transactionHostsOf(dataSource);
      // A database that cannot be reached yet tells it with the first error.
      await findDeferred(dataSource).catch(() => undefined);
      await checkTable(records, table, warn, TABLE);
      const dialect = dialectOf(dataSource.options.type);
      const session = new DataSourceSession(dataSource);
      const { option } = TABLE;
      await checkServer(session, dialect, table, { option, largestReplyBytes, warn });
      await checkWrites(
        () => place.beginTransaction({ source: undefined, lockWaitMs: 0 }),
        table,
        TABLE,
      );
    }
    if (this.purge === undefined || this.purgeTimer !== undefined) return;
    this.purgeTimer = new PurgeTimer((limit) => this.purgeExpired(limit), this.purge, warn);
  }

  /**
   * @throws {@link IdempotencyConfigurationError} when a table has no columns for limits, which
   *   `AddIdempotencyLimits1764500000000` adds
   */
  async prepareLimits(warn: (warning: string) => void): Promise<void> {
    for (const source of [undefined, ...this.sources]) {
      const { records, table } = await this.place(source);
      await checkTable(records, table, warn, LIMITS);
    }
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    return (this.fixed ?? (await this.place())).acquire(request);
  }

  async extend(request: ExtendRequest): Promise<boolean> {
    return (this.fixed ?? (await this.place())).extend(request);
  }

  async complete(request: CompleteRequest): Promise<boolean> {
    return (this.fixed ?? (await this.place())).complete(request);
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    return (this.fixed ?? (await this.place())).release(request);
  }

  async hold(request: HoldRequest): Promise<boolean> {
    return (this.fixed ?? (await this.place())).hold(request);
  }

  async saveStep(request: SaveStepRequest): Promise<boolean> {
    return (this.fixed ?? (await this.place())).saveStep(request);
  }

  async issue(request: IssueRequest): Promise<boolean> {
    return (this.fixed ?? (await this.place())).issue(request);
  }

  async find(id: string): Promise<RecordView | undefined> {
    return (this.fixed ?? (await this.place())).find(id);
  }

  async forget(id: string): Promise<boolean> {
    return (this.fixed ?? (await this.place())).forget(id);
  }

  async list(request: ListRequest): Promise<RecordPage> {
    return (this.fixed ?? (await this.place())).list(request);
  }

  /**
   * Deletes records whose ttl has passed, with one small statement in every data source that the store has
   * met and that is open.
   *
   * @param limit the most records that one statement deletes
   * @returns how many were deleted
   */
  async purgeExpired(limit: number): Promise<number> {
    if (this.places.size === 0) await this.place();
    return purgeEach(this.places.values(), limit, async (place) => {
      if (place.dataSource.isInitialized) return place.purgeExpired(limit);
      if (place !== this.fixed) this.places.delete(place.dataSource);
      return 0;
    });
  }

  /** Opens a transaction for a record and the work itself. */
  async beginTransaction(request: TransactionRequest): Promise<StoreTransaction> {
    return (await this.place(request.source)).beginTransaction(request);
  }

  /** Entities of the data source, for the strategies `version` and `state`. */
  resource(request: ResourceRequest): Resource {
    return new EntityResource(() => this.dataSource(request.source), request);
  }

  /** Names of the data sources beside the store's own. */
  get sources(): readonly string[] {
    return Object.keys(this.options.sources ?? {});
  }

  /**
   * The records in one of the {@link sources}.
   *
   * @throws {@link IdempotencyConfigurationError} when there is no data source of this name
   */
  recordsOf(source: string): Promise<IdempotencyStore> {
    this.checkSource(source);
    return this.place(source);
  }

  /** The classes of all entities, and of what is embedded in them. */
  async entities(): Promise<readonly NewableFunction[]> {
    const found = new Set<NewableFunction>();
    for (const source of [undefined, ...Object.keys(this.options.sources ?? {})]) {
      const { entityMetadatas } = await this.dataSource(source);
      for (const { target, embeddeds } of entityMetadatas)
        for (const type of [target, ...classesOf(embeddeds)])
          if (typeof type === 'function') found.add(type);
    }
    return [...found];
  }

  /** @throws {@link IdempotencyConfigurationError} when there is no data source of this name */
  checkSource(source: string | undefined): void {
    if (source === undefined || Object.hasOwn(this.options.sources ?? {}, source)) return;
    throw wrongOption(
      'transaction',
      source,
      `true, or a name in the store's \`sources\`: ${Object.keys(this.options.sources ?? {}).join(', ') || 'there is none'}`,
      `Add the data source: new TypeOrmStore({ dataSource, sources: { ${source}: … } }).`,
    );
  }

  /** Stops deleting expired records. The data source stays open. */
  async close(): Promise<void> {
    await this.purgeTimer?.stop();
    this.purgeTimer = undefined;
  }

  private async place(source?: string): Promise<Place> {
    const dataSource = await this.dataSource(source);
    let place = this.places.get(dataSource);
    if (place === undefined) {
      const isPrepared = this.options.preparedStatements ?? true;
      place = new Place(dataSource, this.tableOf(dataSource), {
        isPrepared,
        warnings: this.warnings,
      });
      this.places.set(dataSource, place);
    }
    if (source === undefined && this.ofCall === undefined) this.fixed = place;
    return place;
  }

  private async dataSource(source?: string): Promise<DataSource> {
    const { dataSource: own, sources = {} } = this.options;
    const given = source === undefined ? own : sources[source];
    const dataSource: unknown = typeof given === 'function' ? await given() : given;
    if (!isDataSource(dataSource)) refuse(dataSource);
    outliveConnections(dataSource);
    return dataSource;
  }

  private tableOf({ options }: DataSource): TableName {
    const { table = DEFAULT_TABLE, schema = (options as { schema?: string }).schema } =
      this.options;
    return { table, schema };
  }
}

function notInitialized(source: string | undefined): IdempotencyConfigurationError {
  return wrongOption(
    source === undefined ? 'dataSource of TypeOrmStore' : `sources.${source} of TypeOrmStore`,
    'a data source that is not initialized',
    'an initialized data source, or a function that gives one',
    'Await `dataSource.initialize()` first.',
  );
}

type Embedded = EntityMetadata['embeddeds'][number];

function classesOf(embeddeds: readonly Embedded[]): Embedded['type'][] {
  return embeddeds.flatMap(({ type, embeddeds: inner }) => [type, ...classesOf(inner)]);
}

/** By what it can do: the application may have another copy of TypeORM. */
function isDataSource(value: unknown): value is DataSource {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as Partial<DataSource>).createQueryRunner === 'function'
  );
}

function refuse(given: unknown): never {
  throw wrongOption(
    'dataSource of TypeOrmStore',
    given,
    'a TypeORM DataSource, or a function that gives one',
    'Pass the data source itself, such as `new TypeOrmStore({ dataSource })`.',
  );
}
