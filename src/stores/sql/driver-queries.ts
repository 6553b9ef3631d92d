import type { SqlQueries, SqlQuery, SqlResult } from './executor.js';

/** What a pool and a client of `pg` have in common. */
export interface PgQueryable {
  query(query: {
    readonly name?: string;
    readonly text: string;
    readonly values: unknown[];
  }): Promise<PgResult>;
}

interface PgResult {
  readonly rows: readonly Readonly<Record<string, unknown>>[];
  readonly rowCount: number | null;
  readonly command?: string;
}

/** What a pool and a connection of `mysql2` have in common, with promises or with callbacks. */
export interface Mysql2Queryable {
  query(query: object, ...rest: never[]): unknown;
}

/** What `postgres` gives: a pool, or the connection of a transaction. */
export interface PostgresJsQueryable {
  unsafe(
    text: string,
    values: unknown[],
    options: { readonly prepare: boolean },
  ): PromiseLike<unknown>;
}

/** Statements over `pg`; named ones are planned once by each connection. */
export function pgQueries(
  client: PgQueryable,
  isPrepared: boolean,
): SqlQueries & { script(texts: readonly string[]): Promise<void> } {
  return {
    async query({ name, text, values }: SqlQuery): Promise<SqlResult> {
      const named = isPrepared && values.length > 0 ? { name } : undefined;
      const { rows, rowCount } = await client.query({ ...named, text, values: [...values] });
      return { rows, affected: rowCount };
    },
    async script(texts) {
      await client.query({ text: texts.join('; '), values: [] });
    },
  };
}

/** Whatever the application has set for its own rows. */
const AS_IT_IS = { typeCast: true, rowsAsArray: false, nestTables: false };

/** Statements over `mysql2`. */
export function mysql2Queries(connection: Mysql2Queryable): SqlQueries {
  return {
    async query({ text, values }: SqlQuery): Promise<SqlResult> {
      return mysql2Result(
        await answer(connection, { ...AS_IT_IS, sql: text, values: [...values] }),
      );
    },
  };
}

/** `mysql2/promise` answers a promise; `mysql2` calls back, and has another object that promises. */
function answer(connection: Mysql2Queryable, query: object): unknown {
  const { promise } = connection as { promise?: () => Mysql2Queryable };
  return typeof promise === 'function'
    ? promise.call(connection).query(query)
    : connection.query(query);
}

/** Rows and fields, or what an INSERT or UPDATE has done. */
export function mysql2Result(answered: unknown): SqlResult {
  const [result] = answered as [unknown];
  if (Array.isArray(result)) return { rows: result as NonNullable<SqlResult['rows']> };
  const { affectedRows, insertId } = result as { affectedRows: number; insertId: number };
  return { affected: affectedRows, insertId };
}

/** Statements over `postgres`. */
export function postgresJsQueries(
  client: PostgresJsQueryable,
): SqlQueries & { script(texts: readonly string[]): Promise<void> } {
  return {
    async query({ text, values }: SqlQuery): Promise<SqlResult> {
      // Without values it is a simple query, which cannot be prepared.
      const prepare = values.length > 0;
      const rows = (await client.unsafe(text, [...values], { prepare })) as PostgresJsRows;
      return { rows: rows.map(inSnakeCase), affected: rows.count };
    },
    async script(texts) {
      await client.unsafe(texts.join('; '), [], { prepare: false });
    },
  };
}

type PostgresJsRows = NonNullable<SqlResult['rows']> & { readonly count: number | null };

const CAPITAL = /[A-Z]/;

/** `transform: postgres.camel` renames the columns of every row. */
function inSnakeCase(row: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const names = Object.keys(row);
  if (!names.some((name) => CAPITAL.test(name))) return row;
  return Object.fromEntries(
    names.map((name) => [
      name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      row[name],
    ]),
  );
}
