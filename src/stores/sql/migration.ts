import { wrongOption } from '../../engine/configuration-error.js';
import { checkName, DEFAULT_TABLE, statementsOf, type TableName } from './dialect.js';
import type { SqlDialect } from './executor.js';

/** Which table {@link sqlMigration} is about. */
export interface SqlMigrationOptions extends Partial<TableName> {
  /**
   * Also what the module's option `limits` needs: two columns and two indexes. `'only'`: nothing else,
   * for a table that exists.
   * @default false
   */
  readonly limits?: boolean | 'only';
  /**
   * `'only'`: nothing but the columns of the records' story, for a table that an earlier release has
   * made without them. A new table has them.
   */
  readonly story?: 'only';
}

/** The statements of a migration, one by one. */
export interface SqlMigration {
  readonly up: readonly string[];
  readonly down: readonly string[];
}

/**
 * The statements that create the table of the records, and those that drop it, for the migrations that the
 * application runs its own with. The same for the default names are files in the package:
 * `nestjs-idempotency/migrations/postgres.sql`, `mysql.sql`, `sqlite.sql`, and `limits` before the
 * ending for the columns of the limits, or `story` for those of a table that an earlier release has made.
 *
 * @throws {@link IdempotencyConfigurationError} for an unknown dialect, or a name that needs more than
 *   quoting
 * @example
 * export async function up(knex: Knex) {
 *   for (const statement of sqlMigration('postgres').up) await knex.raw(statement);
 * }
 */
export function sqlMigration(
  dialect: SqlDialect,
  { table = DEFAULT_TABLE, schema, limits = false, story }: SqlMigrationOptions = {},
): SqlMigration {
  if (!['postgres', 'mysql', 'sqlite'].includes(dialect)) {
    throw wrongOption(
      'the dialect of sqlMigration()',
      dialect,
      'postgres, mysql or sqlite',
      "Name the database's dialect; MariaDB's is mysql.",
    );
  }
  checkName('table of sqlMigration()', table);
  if (schema !== undefined) checkName('schema of sqlMigration()', schema);
  const name = { table, ...(schema !== undefined && { schema }) };
  const { createTable, addLimits, dropLimits, dropTable, ...more } = statementsOf(dialect, name);
  if (story === 'only') return { up: split(more.addStory.text), down: split(more.dropStory.text) };
  const isWhole = limits !== 'only';
  return {
    up: [...(isWhole ? split(createTable.text) : []), ...(limits ? split(addLimits.text) : [])],
    down: isWhole ? split(dropTable.text) : split(dropLimits.text),
  };
}

function split(text: string): string[] {
  return text
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
