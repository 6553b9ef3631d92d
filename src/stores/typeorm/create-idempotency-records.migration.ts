import type { MigrationInterface, QueryRunner } from 'typeorm';
import { checkName, DEFAULT_TABLE, dialectOf, statementsOf, type TableName } from './dialect.js';

/**
 * Makes the table of the records, for the database that it runs on.
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
    if (names.table !== undefined) checkName('table', names.table);
    if (names.schema !== undefined) checkName('schema', names.schema);
  }

  async up(queryRunner: QueryRunner): Promise<void> {
    await this.run(queryRunner, 'createTable');
  }

  async down(queryRunner: QueryRunner): Promise<void> {
    await this.run(queryRunner, 'dropTable');
  }

  private async run(queryRunner: QueryRunner, verb: 'createTable' | 'dropTable'): Promise<void> {
    const { options } = queryRunner.connection;
    const { table = DEFAULT_TABLE, schema = (options as { schema?: string }).schema } = this.names;
    const { text } = statementsOf(dialectOf(options.type), { table, schema })[verb];
    for (const statement of text.split(';')) {
      if (statement.trim() !== '') await queryRunner.query(statement);
    }
  }
}
