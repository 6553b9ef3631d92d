import { checkName, DEFAULT_TABLE, type TableName } from '../stores/sql/dialect.js';
import { isMissing } from '../stores/sql/errors.js';
import type { SqlDialect } from '../stores/sql/executor.js';
import { ExecutorSession } from '../stores/sql/executor-session.js';
import { sqlMigration } from '../stores/sql/migration.js';
import { recordsOn } from '../stores/sql/open-records.js';
import type { SqlRecords } from '../stores/sql/records.js';
import { type Command, EXIT, type Given, textOf, UsageError } from './command.js';
import { type Database, DATABASE_OPTIONS, DATABASE_USAGE, openDatabase } from './database.js';

/** One part of the table. Each is there as a whole, or it is missing. */
interface Part {
  readonly name: string;
  /** Fails if it is missing. */
  check(records: SqlRecords, database: Database, table: TableName): Promise<void>;
  statements(dialect: SqlDialect, table: TableName): readonly string[];
}

const TABLE: Part = {
  name: 'the table',
  async check(_records, { executor, dialect }, { table, schema }) {
    const mark = dialect === 'mysql' ? '`' : '"';
    const path = [...(schema === undefined ? [] : [schema]), table];
    const quoted = path.map((name) => `${mark}${name}${mark}`).join('.');
    const text = `SELECT id FROM ${quoted} WHERE 1 = 0`;
    await executor.query({ name: 'idempotency_status', text, values: [], returnsRows: true });
  },
  statements: (dialect, table) => sqlMigration(dialect, table).up,
};

/** A new table has them; that of an earlier release gets them. */
const STORY: Part = {
  name: "the columns of the records' story",
  check: (records) => records.checkTable(),
  statements: (dialect, table) => sqlMigration(dialect, { ...table, story: 'only' }).up,
};

const LIMITS: Part = {
  name: 'the columns for limits',
  check: (records) => records.checkLimits(),
  statements: (dialect, table) => sqlMigration(dialect, { ...table, limits: 'only' }).up,
};

const LIMITS_OPTION = { limits: { type: 'boolean' } } as const;
const LIMITS_USAGE = '--limits          also the columns that the module option `limits` needs';

export const migrate: Command = {
  summary: 'creates the table of the records, or adds what an older one lacks',
  usage: [...DATABASE_USAGE, LIMITS_USAGE],
  options: { ...DATABASE_OPTIONS, ...LIMITS_OPTION },
  async run(given, around) {
    const table = tableOf(given);
    return withDatabase(given, around, async (database) => {
      let created = 0;
      for (const part of partsOf(given)) {
        if ((await missingOf(database, table, [part])).length === 0) continue;
        await create(database, table, part);
        around.print(`Created ${part.name}.`);
        created += 1;
      }
      if (created === 0) around.print('Nothing to do: everything is there.');
      return EXIT.done;
    });
  },
};

export const status: Command = {
  summary: 'checks that the table is what this version needs; exits with 3 if it is not',
  usage: [...DATABASE_USAGE, LIMITS_USAGE],
  options: { ...DATABASE_OPTIONS, ...LIMITS_OPTION },
  async run(given, around) {
    const table = tableOf(given);
    return withDatabase(given, around, async (database) => {
      const parts = partsOf(given);
      const missing = await missingOf(database, table, parts);
      for (const part of parts)
        around.print(`${missing.includes(part) ? 'missing' : 'there  '}  ${part.name}`);
      if (missing.length === 0) return EXIT.done;
      around.complain('Run `nestjs-idempotency migrate` with the same options.');
      return EXIT.needed;
    });
  },
};

export const sql: Command = {
  summary: 'prints the statements, for your own migrations',
  usage: [
    '--dialect <name>  postgres, mysql (also MariaDB) or sqlite',
    "--table <name>    the table of the records; else 'idempotency_records'",
    '--schema <name>   its schema (MySQL, MariaDB: its database); else the current one',
    LIMITS_USAGE,
    '--limits-only     only the columns for `limits`, for a table that exists',
    '--down            the statements that undo it',
  ],
  options: {
    dialect: { type: 'string' },
    table: DATABASE_OPTIONS.table,
    schema: DATABASE_OPTIONS.schema,
    ...LIMITS_OPTION,
    'limits-only': { type: 'boolean' },
    down: { type: 'boolean' },
  },
  run(given, around) {
    const dialect = textOf(given, 'dialect');
    if (dialect === undefined)
      throw new UsageError('Which database? Pass --dialect postgres, mysql or sqlite.');
    const limits = given.options['limits-only'] === true ? 'only' : given.options.limits === true;
    const migration = sqlMigration(dialect as SqlDialect, { ...tableOf(given), limits });
    const statements = given.options.down === true ? migration.down : migration.up;
    for (const statement of statements) around.print(`${statement};`);
    return Promise.resolve(EXIT.done);
  },
};

function partsOf({ options }: Given): readonly Part[] {
  return options.limits === true ? [TABLE, STORY, LIMITS] : [TABLE, STORY];
}

function tableOf(given: Given): TableName {
  const table = textOf(given, 'table') ?? DEFAULT_TABLE;
  const schema = textOf(given, 'schema');
  checkName('--table', table);
  if (schema === undefined) return { table };
  checkName('--schema', schema);
  return { table, schema };
}

async function withDatabase<T>(
  given: Given,
  around: Parameters<Command['run']>[1],
  work: (database: Database) => Promise<T>,
): Promise<T> {
  const database = openDatabase(given, around);
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

async function missingOf(
  database: Database,
  table: TableName,
  parts: readonly Part[],
): Promise<Part[]> {
  const { executor, dialect } = database;
  const records = recordsOn(new ExecutorSession(executor), dialect, table);
  const missing: Part[] = [];
  for (const part of parts)
    if (!(await isThere(() => part.check(records, database, table)))) missing.push(part);
  return missing;
}

async function isThere(check: () => Promise<void>): Promise<boolean> {
  try {
    await check();
    return true;
  } catch (error) {
    if (!isMissing(error)) throw error;
    return false;
  }
}

/** In one transaction, which databases other than MySQL and MariaDB undo as a whole. */
async function create(database: Database, table: TableName, part: Part): Promise<void> {
  const { executor, dialect } = database;
  try {
    await executor.transaction(async (connection) => {
      for (const text of part.statements(dialect, table))
        await connection.query({
          name: 'idempotency_migrate',
          text,
          values: [],
          returnsRows: false,
        });
    });
  } catch (error) {
    // Another deployment of the same version may have done it in the meantime.
    if ((await missingOf(database, table, [part])).length > 0) throw error;
  }
}
