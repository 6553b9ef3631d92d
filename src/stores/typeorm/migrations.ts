import type { MigrationInterface, QueryRunner } from 'typeorm';
import type { Expected } from '../sql/check-table.js';
import { checkName, DEFAULT_TABLE, statementsOf, type TableName } from '../sql/dialect.js';
import { dialectOf } from './dialect.js';

/** @throws {@link IdempotencyConfigurationError} for a name that needs more than quoting */
function checkNames({ table, schema }: Partial<TableName>): void {
  if (table !== undefined) checkName('table of TypeOrmStore', table);
  if (schema !== undefined) checkName('schema of TypeOrmStore', schema);
}

function tableOf({ connection }: QueryRunner, names: Partial<TableName>): TableName {
  const { schema: own } = connection.options as { schema?: string };
  const { table = DEFAULT_TABLE, schema = own } = names;
  return { table, ...(schema !== undefined && { schema }) };
}

/** Runs the statements of a migration for the current database. */
async function run(
  queryRunner: QueryRunner,
  names: Partial<TableName>,
  verb: 'createTable' | 'dropTable' | 'addLimits' | 'dropLimits' | 'addStory' | 'dropStory',
): Promise<void> {
  const { options } = queryRunner.connection;
  const { text } = statementsOf(dialectOf(options.type), tableOf(queryRunner, names))[verb];
  for (const statement of text.split(';')) {
    if (statement.trim() !== '') await queryRunner.query(statement);
  }
}

/**
 * Creates the table of the records.
 *
 * @example
 * // Under another name than 'idempotency_records':
 * class CreateRecords extends CreateIdempotencyRecords1763700000000 {
 *   constructor() {
 *     super({ table: 'payment_records', schema: 'payments' });
 *   }
 * }
 */
export class CreateIdempotencyRecords1763700000000 implements MigrationInterface {
  readonly name = 'CreateIdempotencyRecords1763700000000';

  constructor(private readonly names: Partial<TableName> = {}) {
    checkNames(names);
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    await run(queryRunner, this.names, 'createTable');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await run(queryRunner, this.names, 'dropTable');
  }
}

/**
 * Adds what the module's option `limits` needs to the table of the records: two columns and two
 * indexes. You only need it with that option. It takes the same options as
 * {@link CreateIdempotencyRecords1763700000000}, which must run first.
 */
export class AddIdempotencyLimits1764500000000 implements MigrationInterface {
  readonly name = 'AddIdempotencyLimits1764500000000';

  constructor(private readonly names: Partial<TableName> = {}) {
    checkNames(names);
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    await run(queryRunner, this.names, 'addLimits');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await run(queryRunner, this.names, 'dropLimits');
  }
}

/**
 * Adds the columns of a record's story (scope, label, times, failure, settlement) to a table that an
 * earlier release has made. A table that has them is left as it is. It takes the same options as
 * {@link CreateIdempotencyRecords1763700000000}, which must run first.
 */
export class AddIdempotencyStory1764700000000 implements MigrationInterface {
  readonly name = 'AddIdempotencyStory1764700000000';

  constructor(private readonly names: Partial<TableName> = {}) {
    checkNames(names);
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    const { schema, table } = tableOf(queryRunner, this.names);
    const path = schema === undefined ? table : `${schema}.${table}`;
    if (!(await queryRunner.hasColumn(path, 'settled_note')))
      await run(queryRunner, this.names, 'addStory');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await run(queryRunner, this.names, 'dropStory');
  }
}

const remedyOf = (migration: string): string =>
  `Add ${migration} to the migrations of the data source and run them, such as with ` +
  '`migrationsRun: true` or `dataSource.runMigrations()`.';

/** The table of the records. */
export const TABLE: Expected = {
  check: (records) => records.checkTable(),
  option: 'table of TypeOrmStore',
  accepted: 'a table that the migration of the records has created',
  remedy:
    remedyOf('CreateIdempotencyRecords1763700000000') +
    ' A table of an earlier release gets its columns from AddIdempotencyStory1764700000000.',
};

/** What the limits of callers need beside. */
export const LIMITS: Expected = {
  check: (records) => records.checkLimits(),
  option: 'limits, with the table of TypeOrmStore',
  accepted: 'a table that the migration for limits has added its columns to',
  remedy: remedyOf('AddIdempotencyLimits1764500000000'),
};
