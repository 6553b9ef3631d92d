import { wrongOption } from '../../engine/configuration-error.js';
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
  SecondConnection,
  StoreTransaction,
  TransactionalStore,
  TransactionRequest,
} from '../../engine/transaction.js';
import { checkServer } from './check-server.js';
import { checkTable, checkWrites, type Expected } from './check-table.js';
import { checkName, DEFAULT_TABLE, type TableName } from './dialect.js';
import type { SqlDialect, SqlExecutor } from './executor.js';
import { ExecutorSession, LoneSession } from './executor-session.js';
import { recordsOn } from './open-records.js';
import { type PurgeOptions, purgeEach, purgeOptions, PurgeTimer } from './purge-timer.js';
import type { SqlRecords } from './records.js';
import { watchOnce } from './second-connections.js';
import { RetryingSession, type Statement } from './session.js';
import { SqlTransaction } from './sql.transaction.js';
import { resourceIn } from './table-resource.js';
import { CONNECT_WITHIN_MS, TransactionEdge, Warnings } from './transaction-edge.js';

/** What {@link SqlStore} is made of. */
export interface SqlStoreOptions<Tx = unknown> {
  /**
   * How statements and transactions are run: `fromPg(pool)`, `fromDrizzle(db)` and so on, or an executor
   * of your own. The client in it stays the application's: the store never closes it.
   */
  readonly executor: SqlExecutor<Tx>;
  /**
   * Executors of other databases that `@Idempotent({ transaction: 'name' })` may name. Each database needs
   * the table of the records as well.
   * @default none
   */
  readonly sources?: Readonly<Record<string, SqlExecutor>>;
  /**
   * Whose SQL the database speaks, if the executor cannot tell.
   * @default the executor's
   */
  readonly dialect?: SqlDialect;
  /**
   * The table of the records: letters, digits and underscores, 54 at most.
   * @default 'idempotency_records'
   */
  readonly table?: string;
  /**
   * The schema that the table is in (on MySQL and MariaDB the database). Absent: what the connection
   * calls current.
   */
  readonly schema?: string;
  /**
   * How the store deletes expired records in the background; `false`: not at all, so that
   * `purgeExpired` must be called from elsewhere. Expiry does not depend on it.
   * @default { everyMs: 60_000, batch: 1_000 }
   */
  readonly purge?: Partial<PurgeOptions> | false;
}

const REMEDY =
  "Create it with the statements that sqlMigration('postgres' | 'mysql' | 'sqlite') gives, or from the " +
  'files in nestjs-idempotency/sql/migrations.';

const OLDER_TABLE = ` A table of an earlier release gets its columns from sqlMigration(…, { story: 'only' }).`;

const TABLE: Expected = {
  check: (records) => records.checkTable(),
  option: 'table of SqlStore',
  accepted: 'a table that the migration of the records has created',
  remedy: REMEDY + OLDER_TABLE,
};

const LIMITS: Expected = {
  check: (records) => records.checkLimits(),
  option: 'limits, with the table of SqlStore',
  accepted: 'a table that the migration for limits has added its columns to',
  remedy: REMEDY,
};

/** What code is told that would leave its transaction. */
const WRITE_WITH = 'Write with op.tx or currentTransaction(store).';

const FIND_DEFERRED: Statement = {
  name: 'idempotency_find_deferred',
  text: 'SELECT 1 AS one FROM pg_constraint WHERE condeferrable LIMIT 1',
  parameters: [],
  returnsRows: true,
};

/**
 * Keeps records in a table of the application's database: PostgreSQL, MySQL, MariaDB or SQLite, over what
 * the application writes its own rows with, on the database's clock.
 *
 * A first call is two statements, claim and reply; a replay or a refusal one that writes nothing
 * (MySQL and MariaDB: two).
 *
 * @example
 * const pool = new Pool({ connectionString: process.env.DATABASE_URL });
 * const store = new SqlStore({ executor: fromPg(pool) });
 */
export class SqlStore<Tx = unknown> implements TransactionalStore, PurgingStore, Resources {
  readonly executor: SqlExecutor<Tx>;
  private readonly others: Readonly<Record<string, SqlExecutor>>;
  private readonly purge: PurgeOptions | undefined;
  private readonly name: TableName;
  private readonly records: SqlRecords;
  private purgeTimer: PurgeTimer | undefined;
  private warn: (warning: string) => void = (warning) => process.emitWarning(warning);
  private readonly warnings = new Warnings((warning) => this.warn(warning));
  /** What is to be said as soon as there is a log. */
  private readonly unwatched = new Set<string>();
  private hasStarted = false;
  /** Executors whose database has constraints that it may check only at the commit. */
  private readonly deferring = new Set<SqlExecutor>();

  /** @throws {@link IdempotencyConfigurationError} for an option with a wrong value */
  constructor(private readonly options: SqlStoreOptions<Tx>) {
    const { executor, sources = {}, table = DEFAULT_TABLE, schema, purge = {} } = options;
    checkExecutor('executor', executor);
    for (const [name, source] of Object.entries(sources)) checkExecutor(`sources.${name}`, source);
    checkName('table of SqlStore', table);
    if (schema !== undefined) checkName('schema of SqlStore', schema);
    this.executor = executor;
    this.others = sources;
    this.name = { table, ...(schema !== undefined && { schema }) };
    this.purge = purge === false ? undefined : purgeOptions('SqlStore', purge);
    this.records = this.openRecords(executor);
  }

  /** @throws {@link IdempotencyConfigurationError} for a database that cannot keep records */
  async start(warn: (warning: string) => void, largestReplyBytes = 0): Promise<void> {
    this.warn = warn;
    this.hasStarted = true;
    this.tellUnwatched();
    for (const executor of this.executors()) {
      await executor.start?.();
      await checkTable(this.openRecords(executor), this.name, warn, TABLE);
      const session = new ExecutorSession(executor);
      const dialect = this.dialectOf(executor);
      const { option } = TABLE;
      await checkServer(session, dialect, this.name, { option, largestReplyBytes, warn });
      await checkWrites(() => this.begin(executor, 0, noEdge()), this.name, TABLE);
      await this.findDeferred(executor);
    }
    if (this.purge === undefined || this.purgeTimer !== undefined) return;
    this.purgeTimer = new PurgeTimer((limit) => this.purgeExpired(limit), this.purge, warn);
  }

  /** @throws {@link IdempotencyConfigurationError} when a table has no columns for limits */
  async prepareLimits(warn: (warning: string) => void): Promise<void> {
    for (const executor of this.executors())
      await checkTable(this.openRecords(executor), this.name, warn, LIMITS);
  }

  async acquire(request: AcquireRequest): Promise<AcquireResult> {
    return this.records.acquire(request);
  }

  async extend(request: ExtendRequest): Promise<boolean> {
    return this.records.extend(request);
  }

  async complete(request: CompleteRequest): Promise<boolean> {
    return this.records.complete(request);
  }

  async release(request: ReleaseRequest): Promise<boolean> {
    return this.records.release(request);
  }

  async hold(request: HoldRequest): Promise<boolean> {
    return this.records.hold(request);
  }

  async saveStep(request: SaveStepRequest): Promise<boolean> {
    return this.records.saveStep(request);
  }

  async issue(request: IssueRequest): Promise<boolean> {
    return this.records.issue(request);
  }

  async find(id: string): Promise<RecordView | undefined> {
    return this.records.find(id);
  }

  async forget(id: string): Promise<boolean> {
    return this.records.forget(id);
  }

  async list(request: ListRequest): Promise<RecordPage> {
    return this.records.list(request);
  }

  /** Deletes records whose ttl has passed, in one small statement for each database that has some. */
  async purgeExpired(limit: number): Promise<number> {
    return purgeEach(this.executors(), limit, async (executor, deleted) =>
      deleted < limit ? this.openRecords(executor).purgeExpired(limit - deleted) : 0,
    );
  }

  /** Opens a transaction for a record and the work itself. */
  async beginTransaction(request: TransactionRequest): Promise<StoreTransaction> {
    const { source, lockWaitMs } = request;
    const executor = source === undefined ? this.executor : this.sourceOf(source);
    return this.begin(executor, lockWaitMs, this.edgeOf(executor, request));
  }

  private begin(
    executor: SqlExecutor,
    lockWaitMs: number,
    edge: TransactionEdge,
  ): Promise<StoreTransaction> {
    const dialect = this.dialectOf(executor);
    const isDeferring = (): boolean => this.deferring.has(executor);
    const { name: table } = this;
    return SqlTransaction.begin({ executor, dialect, table, lockWaitMs, edge, isDeferring });
  }

  /**
   * @throws {@link IdempotencyConfigurationError} when there is no source of this name, or for a
   *   `secondConnection` that would have to be noticed
   */
  checkSource(source: string | undefined, secondConnection?: SecondConnection): void {
    const executor = source === undefined ? this.executor : this.sourceOf(source);
    if (secondConnection === 'join') {
      throw wrongOption(
        'secondConnection',
        secondConnection,
        "with SqlStore 'refuse', 'warn' or 'allow'",
        `What writes with another client cannot become part of the transaction. ${WRITE_WITH}`,
      );
    }
    if (executor.watch !== undefined) return;
    if (secondConnection === 'refuse') throw this.unseen(executor);
    if (secondConnection !== 'warn') return;
    this.unwatched.add(executor.name);
    if (this.hasStarted) this.tellUnwatched();
  }

  /**
   * A column of a table that `sqlTable()` describes, for the strategies `version` and `state`.
   *
   * @throws {@link IdempotencyConfigurationError} for anything but such a table
   */
  resource(request: ResourceRequest): Resource {
    const { source } = request;
    const own = source === undefined ? this.executor : this.sourceOf(source);
    return resourceIn(request, own, this.executors(), (executor) => this.dialectOf(executor));
  }

  /** Names of the executors beside the store's own. */
  get sources(): readonly string[] {
    return Object.keys(this.others);
  }

  /** The records that the executor of this name reaches, for operators. */
  recordsOf(source: string): IdempotencyStore {
    const executor = this.sourceOf(source);
    return new SqlStore({ ...this.options, executor, sources: {}, purge: false });
  }

  /** Stops deleting expired records. The client of the executor stays open. */
  async close(): Promise<void> {
    await this.purgeTimer?.stop();
    this.purgeTimer = undefined;
  }

  private tellUnwatched(): void {
    for (const name of this.unwatched) {
      this.warnings.once(
        `${name}, unwatched`,
        `${name} cannot see what handlers with \`transaction\` write beside their transaction: that stays ` +
          `when the operation is undone. ${WRITE_WITH} Give the executor watch(), or set ` +
          "secondConnection: 'allow' to say that it is so.",
      );
    }
    this.unwatched.clear();
  }

  private unseen(executor: SqlExecutor): Error {
    return wrongOption(
      'secondConnection',
      'refuse',
      `'warn' or 'allow' with ${executor.name}, which cannot see what code writes beside the transaction`,
      `${WRITE_WITH} Or give the executor watch(), as docs/sql.md shows.`,
    );
  }

  /** @throws {@link IdempotencyConfigurationError} where nothing would be refused */
  private edgeOf(executor: SqlExecutor, request: TransactionRequest): TransactionEdge {
    const { secondConnection: policy = 'allow', scope = 'An operation' } = request;
    const { connectWithinMs = CONNECT_WITHIN_MS } = request;
    if (policy === 'refuse' && executor.watch === undefined) throw this.unseen(executor);
    watchOnce(executor);
    return new TransactionEdge({
      policy,
      scope,
      connectWithinMs,
      warn: this.warnings.once,
      remedy: WRITE_WITH,
      isPoolOfOne: () => executor.isSingle === true,
    });
  }

  private async findDeferred(executor: SqlExecutor): Promise<void> {
    if (this.dialectOf(executor) !== 'postgres') return;
    try {
      const { rows } = await new ExecutorSession(executor).query(FIND_DEFERRED, {});
      if (rows.length > 0) this.deferring.add(executor);
    } catch {
      // The check of the table has told.
    }
  }

  private executors(): SqlExecutor[] {
    return [...new Set([this.executor, ...Object.values(this.others)])];
  }

  private sourceOf(source: string): SqlExecutor {
    const executor = Object.hasOwn(this.others, source) ? this.others[source] : undefined;
    if (executor !== undefined) return executor;
    throw wrongOption(
      'transaction',
      source,
      `true, or a name in the store's \`sources\`: ${Object.keys(this.others).join(', ') || 'there is none'}`,
      `Add its executor: new SqlStore({ executor, sources: { ${source}: … } }).`,
    );
  }

  /** @throws {@link IdempotencyConfigurationError} when nobody knows the dialect */
  private dialectOf(executor: SqlExecutor): SqlDialect {
    const dialect = executor.dialect ?? this.options.dialect;
    if (dialect !== undefined && DIALECTS.includes(dialect)) return dialect;
    throw wrongOption(
      'dialect of SqlStore',
      dialect,
      DIALECTS.join(', '),
      `${executor.name} does not tell which database it is. Say so: new SqlStore({ executor, dialect: 'postgres' }).`,
    );
  }

  private openRecords(executor: SqlExecutor): SqlRecords {
    const session = new RetryingSession(new LoneSession(executor));
    return recordsOn(session, this.dialectOf(executor), this.name);
  }
}

const DIALECTS: readonly SqlDialect[] = ['postgres', 'mysql', 'sqlite'];

function checkExecutor(option: string, executor: unknown): void {
  const { query, transaction } = (executor ?? {}) as Partial<SqlExecutor>;
  if (typeof query === 'function' && typeof transaction === 'function') {
    if (typeof (executor as { name?: unknown }).name === 'string') return;
  }
  throw wrongOption(
    `${option} of SqlStore`,
    executor,
    'what fromPg(), fromDrizzle(), fromKysely() and so on return, or a SqlExecutor of your own',
    'Wrap the client: new SqlStore({ executor: fromPg(pool) }).',
  );
}

/** Of a transaction in which nothing but the store works. */
function noEdge(): TransactionEdge {
  return new TransactionEdge({
    policy: 'allow',
    scope: 'The store',
    connectWithinMs: CONNECT_WITHIN_MS,
    warn: () => undefined,
    remedy: WRITE_WITH,
    isPoolOfOne: () => false,
  });
}
