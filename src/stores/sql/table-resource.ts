import { createHash } from 'node:crypto';
import { IdempotencyConfigurationError, wrongOption } from '../../engine/configuration-error.js';
import type {
  Expectation,
  Resource,
  ResourceRequest,
  Resources,
  ResourceValue,
} from '../../engine/resource.js';
import type { CommitFailure, OperationManager } from '../../engine/transaction.js';
import { connectionOf, outerTransaction, runInTransaction } from './current-transaction.js';
import type { Dialect } from './dialect.js';
import { commitFailureOf, driverErrorOf } from './errors.js';
import type { SqlConnection, SqlDialect, SqlExecutor } from './executor.js';
import { ConnectionSession, ExecutorSession } from './executor-session.js';
import { watchOnce } from './second-connections.js';
import type { Answer, Session } from './session.js';
import {
  isSqlTable,
  nameOfTable,
  noColumn,
  pathOf,
  quoted,
  readTable,
  type SqlTable,
  type TableColumn,
  type TableFacts,
} from './sql-table.js';
import { CONNECT_WITHIN_MS, TransactionEdge, Warnings } from './transaction-edge.js';

/** An executor, and whose SQL its database speaks. */
export interface Database {
  readonly executor: SqlExecutor;
  readonly dialect: Dialect;
}

const INTEGER = /^-?\d+$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

interface Found {
  readonly database: Database;
  readonly connection: SqlConnection | undefined;
  readonly facts: TableFacts;
  readonly column: TableColumn;
}

/** A column of a table. Works in the transaction of the current code. */
export class TableResource implements Resource {
  readonly name: string;
  private readonly table: SqlTable;

  /** @throws {@link IdempotencyConfigurationError} for anything but a table */
  constructor(
    /** The one that calls without a transaction mean. */
    private readonly own: Database,
    /** Any of which the current transaction may be. */
    private readonly all: readonly Database[],
    private readonly request: ResourceRequest,
    readonly transaction?: <T>(work: (manager?: OperationManager) => Promise<T>) => Promise<T>,
  ) {
    const { entity, kind, column = kind } = request;
    if (!isSqlTable(entity)) throw noSqlTable(entity);
    this.table = entity;
    this.name = `${nameOfTable(entity)}.${column}`;
  }

  /** A database that cannot be reached yet is asked again by the first call. */
  async check(): Promise<void> {
    try {
      await this.facts(this.own, undefined);
    } catch (error) {
      if (error instanceof IdempotencyConfigurationError) throw error;
    }
  }

  async canHold(value: ResourceValue): Promise<boolean> {
    return fits((await this.find()).column, String(value));
  }

  failureOf(error: unknown): CommitFailure {
    const { executor } = this.own;
    return commitFailureOf(executor.errorOf?.(error) ?? driverErrorOf(error));
  }

  async readForUpdate(id: readonly string[]): Promise<ResourceValue | null | undefined> {
    const found = await this.find();
    const query = new Query(found.database.dialect);
    const row = whereId(query, found.facts, this.table, id);
    if (row === undefined) return undefined;
    // SQLite has one transaction at a time, and no locks on rows.
    const lock = query.dialect === 'sqlite' ? '' : ' FOR UPDATE';
    const text = `SELECT ${query.exact(found.column)} AS value FROM ${query.table(this.table)} WHERE ${row}${lock}`;
    const { rows } = await run(found, query, text, true);
    const [first] = rows;
    return first === undefined ? undefined : valueOf(found.column, first.value);
  }

  async compareAndSet(
    id: readonly string[],
    expected: Expectation | undefined,
    value: ResourceValue,
  ): Promise<boolean> {
    const found = await this.find();
    // A unit of work may count the version itself, with what it has not written yet.
    if (expected === undefined) await found.connection?.flush?.();
    const query = new Query(found.database.dialect);
    const { column } = found;
    const set = `UPDATE ${query.table(this.table)} SET ${query.name(column.name)} = ${query.value(column, value)}`;
    const row = whereId(query, found.facts, this.table, id);
    if (row === undefined) return false;
    const condition = conditionOf(query, column, expected, value);
    const { changed } = await run(found, query, `${set} WHERE ${row} AND ${condition}`, false);
    return changed > 0;
  }

  /** In the database of the current transaction, which may be that of one tenant. */
  private async find(): Promise<Found> {
    for (const database of this.all) {
      const connection = connectionOf(database.executor);
      if (connection !== undefined) return this.in(database, connection);
    }
    return this.in(this.own, undefined);
  }

  private async in(database: Database, connection: SqlConnection | undefined): Promise<Found> {
    const facts = await this.facts(database, connection);
    return { database, connection, facts, column: this.columnOf(facts) };
  }

  /** @throws {@link IdempotencyConfigurationError} for a column or a key that the table does not have */
  private async facts(
    { executor, dialect }: Database,
    connection: SqlConnection | undefined,
  ): Promise<TableFacts> {
    const session = sessionOn(executor, connection);
    const facts = await readTable(session, executor, dialect, this.table);
    this.columnOf(facts);
    const { primaryKey } = facts;
    if (primaryKey.length !== this.request.idParts) {
      throw wrongOption(
        'id',
        `${this.request.idParts} part(s)`,
        `one for each column of the primary key of ${nameOfTable(this.table)}: ${primaryKey.map(({ name }) => name).join(', ')}`,
        'List a source for each of them, in this order.',
      );
    }
    return facts;
  }

  private columnOf({ columns }: TableFacts): TableColumn {
    const { kind, column = kind } = this.request;
    const found = columns.find(({ name }) => name === column);
    if (found === undefined) throw noColumn('column', column, this.table, columns);
    if (kind === 'version' && found.bits === undefined) {
      throw wrongOption(
        'column',
        `${this.name} of type ${found.type}`,
        'a column of whole numbers',
        'Name the column that increases with every change.',
      );
    }
    return found;
  }
}

/** A column of a table in one of several databases. */
export function resourceIn(
  request: ResourceRequest,
  own: SqlExecutor,
  all: readonly SqlExecutor[],
  dialectOf: (executor: SqlExecutor) => Dialect,
): Resource {
  const databaseOf = (executor: SqlExecutor): Database => ({
    executor,
    dialect: dialectOf(executor),
  });
  return new TableResource(databaseOf(own), all.map(databaseOf), request);
}

/** A statement that is being written, with its values. */
export class Query {
  readonly values: (string | number | Uint8Array | null)[] = [];

  constructor(readonly dialect: Dialect) {}

  table(table: SqlTable): string {
    return pathOf(this.dialect, table);
  }

  name(column: string): string {
    return quoted(this.dialect, column);
  }

  /** The value of a column; as text where mysql2 would make an inexact number of it. */
  exact({ name, bits }: TableColumn): string {
    const column = this.name(name);
    return this.dialect === 'mysql' && bits === 64 ? `CAST(${column} AS char)` : column;
  }

  bind(value: string | number | Uint8Array | null): string {
    this.values.push(value);
    return this.dialect === 'postgres' ? `$${this.values.length}` : '?';
  }

  /** Whole numbers as numbers, because MySQL would compare texts with them as floating-point numbers. */
  value({ bits }: TableColumn, value: ResourceValue): string {
    const number = Number(value);
    const isExact =
      typeof value === 'number' || (bits !== undefined && Number.isSafeInteger(number));
    return this.bind(isExact ? number : String(value));
  }
}

/**
 * Finds the row by its key; `undefined` for a key that no row can have. PostgreSQL would fail, and MySQL
 * compare `'1 or so'` as 1.
 */
function whereId(
  query: Query,
  { primaryKey }: TableFacts,
  { deletedAt }: SqlTable,
  id: readonly string[],
): string | undefined {
  const conditions: string[] = [];
  for (const [index, column] of primaryKey.entries()) {
    const part = id[index];
    if (part === undefined || !fits(column, part)) return undefined;
    conditions.push(`${query.name(column.name)} = ${query.value(column, part)}`);
  }
  if (deletedAt !== undefined) conditions.push(`${query.name(deletedAt)} IS NULL`);
  return conditions.join(' AND ');
}

function conditionOf(
  query: Query,
  column: TableColumn,
  expected: Expectation | undefined,
  value: ResourceValue,
): string {
  const name = query.name(column.name);
  if (expected === undefined)
    return `(${name} <> ${query.value(column, value)} OR ${name} IS NULL)`;
  if ('below' in expected) return `${name} < ${query.value(column, expected.below)}`;
  return `${name} IN (${expected.oneOf.map((one) => query.value(column, one)).join(', ')})`;
}

/** False for a value that the column cannot have. */
function fits({ bits, isUnsigned, isUuid }: TableColumn, part: string): boolean {
  if (bits === undefined) return !isUuid || UUID.test(part);
  if (!INTEGER.test(part)) return false;
  const value = BigInt(part);
  return value === (isUnsigned ? BigInt.asUintN(bits, value) : BigInt.asIntN(bits, value));
}

/** Drivers return whole numbers as numbers, as text or as `bigint`. */
function valueOf({ bits }: TableColumn, value: unknown): ResourceValue | null {
  if (value === null || value === undefined) return null;
  if (bits === undefined) return typeof value === 'number' ? value : String(value as string);
  return bits <= 32 || typeof value === 'number' ? Number(value) : String(value as string);
}

function run(
  { database, connection }: Found,
  query: Query,
  text: string,
  returnsRows: boolean,
): Promise<Answer> {
  return runQuery(sessionOn(database.executor, connection), query, text, returnsRows);
}

/**
 * On the connection of the transaction, if there is one: code in it that waits for another connection may wait
 * for itself.
 */
export function sessionOn(executor: SqlExecutor, connection: SqlConnection | undefined): Session {
  return connection === undefined
    ? new ExecutorSession(executor)
    : new ConnectionSession(executor, () => connection);
}

/** Runs a statement that {@link Query} has written. */
export function runQuery(
  session: Session,
  { values }: Query,
  text: string,
  returnsRows: boolean,
): Promise<Answer> {
  const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const parameters = values.map((_, at) => `value_${at}`);
  return session.query(
    { name: `idempotency_row_${digest}`, text, parameters, returnsRows },
    Object.fromEntries(values.map((value, at) => [`value_${at}`, value])),
  );
}

function noSqlTable(entity: unknown): IdempotencyConfigurationError {
  return wrongOption(
    'entity',
    entity,
    'a table as sqlTable() describes it, because records are not kept with TypeORM',
    "Describe it: entity: sqlTable('goods').",
  );
}

/** Options of {@link SqlResources}. */
export interface SqlResourcesOptions {
  /** How statements and transactions are run: `fromPg(pool)`, `fromDrizzle(db)` and so on. */
  readonly executor: SqlExecutor;
  /**
   * Whose SQL the database speaks, if the executor cannot tell.
   * @default the executor's
   */
  readonly dialect?: SqlDialect;
}

const WRITE_WITH = 'Write with op.tx or currentTransaction(executor).';

/**
 * Tables for the strategies `version` and `state` if records are kept elsewhere, such as in Redis. The work has its own
 * transaction, which commits before the reply is recorded. If the process dies between the two, the work is done, and a
 * retry is told so (412 or 409).
 *
 * @example
 * IdempotencyModule.forRoot({ store: new RedisStore({ client }), resources: new SqlResources({ executor }) })
 */
export class SqlResources implements Resources {
  private readonly database: Database;
  private readonly warnings = new Warnings((warning) => process.emitWarning(warning));

  /** @throws {@link IdempotencyConfigurationError} when nobody knows the dialect */
  constructor({ executor, dialect = executor.dialect as SqlDialect }: SqlResourcesOptions) {
    if (!['postgres', 'mysql', 'sqlite'].includes(dialect)) {
      throw wrongOption(
        'dialect of SqlResources',
        dialect,
        'postgres, mysql, sqlite',
        `${executor.name} does not tell which database it is. Say so: new SqlResources({ executor, dialect: 'postgres' }).`,
      );
    }
    this.database = { executor, dialect };
  }

  resource(request: ResourceRequest): Resource {
    const { database } = this;
    return new TableResource(database, [database], request, (work) =>
      this.transaction(request, work),
    );
  }

  private transaction<T>(
    { secondConnection: policy = 'allow', entity }: ResourceRequest,
    work: (manager?: OperationManager) => Promise<T>,
  ): Promise<T> {
    const { executor } = this.database;
    watchOnce(executor);
    const edge = new TransactionEdge({
      policy,
      scope: `An operation on ${nameOfTable(entity as SqlTable)}`,
      connectWithinMs: CONNECT_WITHIN_MS,
      warn: this.warnings.once,
      remedy: WRITE_WITH,
      isPoolOfOne: () => executor.isSingle === true,
    });
    return executor.transaction(async (connection) => {
      const { tx } = connection;
      const outer = outerTransaction();
      const isOpen = (): boolean => edge.isOpen;
      try {
        return await runInTransaction(
          { executor, tx, connection, isOpen, edge, outer },
          async () => {
            const result = await work(tx as OperationManager);
            await connection.flush?.();
            return result;
          },
        );
      } finally {
        edge.isOpen = false;
      }
    });
  }
}
