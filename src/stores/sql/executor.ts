import type { Awaitable } from '../../engine/awaitable.js';

/** Whose SQL a database speaks. MariaDB speaks `mysql`. */
export type SqlDialect = 'postgres' | 'mysql' | 'sqlite';

/** A value of a parameter. Lists are only used on MySQL, for `IN (?)`. */
export type SqlValue = string | number | Buffer | null | readonly Buffer[];

/** One statement, with the placeholders of its dialect: `$1` and so on, or `?`. */
export interface SqlQuery {
  /** The same for the same text, 63 characters at most: for a prepared statement. */
  readonly name: string;
  readonly text: string;
  /** In the order of the placeholders. */
  readonly values: readonly SqlValue[];
  /** True if it returns rows, as SELECT and RETURNING do. */
  readonly returnsRows: boolean;
}

/** What came of a statement. */
export interface SqlResult {
  /** By the names of the columns. Bytes are `Buffer` or `Uint8Array`; numbers may be strings. */
  readonly rows?: readonly Readonly<Record<string, unknown>>[];
  /**
   * How many rows were changed. Only needed if the statement returns none. On MySQL, rows that were
   * found count or not, as the client's flag `FOUND_ROWS` says.
   */
  readonly affected?: number | bigint | null;
  /** Only on MySQL: the insert id that the server sent with this statement; absent means 0. */
  readonly insertId?: number | bigint | string | null;
}

/** Runs statements, one after the other. */
export interface SqlQueries {
  query(query: SqlQuery): Promise<SqlResult>;
}

/** One transaction, on one connection of its own. */
export interface SqlConnection<Tx = unknown> extends SqlQueries {
  /** What the handler writes with: the data layer's own object for a transaction. */
  readonly tx: Tx;
  /**
   * Called after everything that the handler wrote was undone to a savepoint, before the transaction
   * goes on. A data layer that writes later (a unit of work) must forget here what it was to write.
   */
  undone?(): Awaitable<void>;
  /**
   * Writes what a unit of work has put off. Called when the handler has succeeded, so that its errors are
   * the handler's; absent for a data layer that writes when it is told to.
   */
  flush?(): Promise<void>;
  /** Runs several statements without values in one round trip. Absent: they are run one by one. */
  script?(texts: readonly string[]): Promise<void>;
}

/**
 * Decides about connections that code takes from a client while it runs in a transaction of the same
 * client. See {@link SqlExecutor.watch}.
 */
export interface SecondConnections {
  /** True while the current code runs in a transaction of the executor. Otherwise nothing is to be decided. */
  areBeside(): boolean;
  /**
   * Takes a connection, if it may be taken, within the time that there is for it.
   *
   * @param giveBack called with a connection that comes too late
   * @throws if it may not be taken, or does not come in time; the error says what to do instead
   */
  take<C>(take: () => PromiseLike<C>, giveBack: (connection: C) => unknown): Promise<C>;
}

/**
 * How {@link SqlStore} runs statements and transactions: over whatever the application writes its own
 * rows with. The numbered guarantees that an executor must keep are the contract for transactions in
 * `nestjs-idempotency/testing`, and `SqlStore` over it must keep the contract of stores.
 */
export interface SqlExecutor<Tx = unknown> extends SqlQueries {
  /** Its name in errors, such as `fromPg()`. */
  readonly name: string;
  /** Absent if only the application knows it: then `SqlStore` must be told. */
  readonly dialect?: SqlDialect;
  /**
   * What the application writes with outside of transactions. `@nestjs-cls/transactional` knows the
   * hosts of this data layer by it.
   */
  readonly client: unknown;
  /** Runs one statement that commits by itself, on any connection. */
  query(query: SqlQuery): Promise<SqlResult>;
  /**
   * Begins a transaction, calls `work` once, commits when that resolves and rolls back when it rejects.
   * Rejects if nothing was committed, or if that is not known.
   */
  transaction<T>(work: (connection: SqlConnection<Tx>) => Promise<T>): Promise<T>;
  /**
   * The driver's own error within an error of the data layer. It tells what happened by `code` (SQLSTATE, or
   * SQLite's name) or by `errno`, and on PostgreSQL by `where`. Absent: the error itself, or the
   * nearest of its `cause`, `original` and `driverError` that has one of them.
   */
  errorOf?(error: unknown): unknown;
  /**
   * True if there is only one connection for everything. Then code in a transaction that asks the
   * store for something else would wait for itself, and gets an error.
   */
  readonly isSingle?: boolean;
  /**
   * Called before the first transaction. From then on, whoever takes a connection from the client while
   * {@link SecondConnections.areBeside} is true gets it through {@link SecondConnections.take}. Absent if the client does
   * not let anybody see that: then `secondConnection: 'refuse'` is refused, and the store says at boot that
   * it sees nothing.
   */
  watch?(connections: SecondConnections): void;
  /** Called when the application boots, and before the first use. @throws for a client that cannot do it */
  start?(): Awaitable<void>;
}
