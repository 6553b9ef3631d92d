import { createHash } from 'node:crypto';
import { wrongOption } from '../../engine/configuration-error.js';
import type { SqlDialect } from './executor.js';
import type { Statement } from './session.js';
import { SQL } from './sql.generated.js';

export type Dialect = SqlDialect;

/** The statements of a dialect by their name, for one table. */
export type Statements<D extends Dialect = Dialect> = Readonly<
  Record<keyof (typeof SQL)[D], Statement>
>;

/** Where the records are. */
export interface TableName {
  readonly table: string;
  readonly schema?: string;
}

export const DEFAULT_TABLE = 'idempotency_records';

/** By dialect, schema and table: a transaction needs them as soon as it begins. */
const known = new Map<string, Statements>();

/** The statements for this table, each with a name that no other text has. */
export function statementsOf<D extends Dialect>(dialect: D, name: TableName): Statements<D> {
  const path = [dialect, name.schema, name.table].join('.');
  const statements = known.get(path) ?? makeStatements(dialect, name);
  known.set(path, statements);
  return statements as Statements<D>;
}

const RETURNS_ROWS = /^(WITH|SELECT)\b|\bRETURNING\b/;

function makeStatements<D extends Dialect>(dialect: D, name: TableName): Statements<D> {
  const entries = Object.entries(SQL[dialect]).map(([verb, { text, parameters }]) => {
    const complete = forTable(dialect, text, name);
    const digest = createHash('sha256').update(complete).digest('hex').slice(0, 8);
    const returnsRows = RETURNS_ROWS.test(complete);
    return [
      verb,
      { name: `idempotency_${verb}_${digest}`, text: complete, parameters, returnsRows },
    ];
  });
  return Object.fromEntries(entries) as Statements<D>;
}

function forTable(dialect: Dialect, text: string, { table, schema }: TableName): string {
  const path = schema === undefined ? [table] : [schema, table];
  const quoted = path.map((part) => quote(dialect, part)).join('.');
  const named = (suffix: string): string => quote(dialect, `${table}_${suffix}`);
  // An index is in the schema of its table; where it is dropped, that has to be said.
  const qualified = (suffix: string): string =>
    schema === undefined ? named(suffix) : `${quote(dialect, schema)}.${named(suffix)}`;
  return text
    .replaceAll('{{table}}', quoted)
    .replaceAll('{{index}}', named('purge_at'))
    .replaceAll('{{alive_index}}', named('alive'))
    .replaceAll('{{new_keys_index}}', named('new_keys'))
    .replaceAll('{{qualified_alive_index}}', qualified('alive'))
    .replaceAll('{{qualified_new_keys_index}}', qualified('new_keys'));
}

function quote(dialect: Dialect, identifier: string): string {
  return dialect === 'mysql' ? `\`${identifier}\`` : `"${identifier}"`;
}

/** Room for the names of the indexes within what the databases allow. */
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,53}$/;

/** @throws {@link IdempotencyConfigurationError} for a name that needs more than quoting */
export function checkName(option: string, name: string): void {
  if (typeof name === 'string' && NAME.test(name)) return;
  throw wrongOption(
    option,
    name,
    'letters, digits and underscores, at most 54, not beginning with a digit',
    'Choose a plain name.',
  );
}
