// The table of the records as a migration of Knex. Copy it into the folder of your migrations, with a time before its name.
import type { Knex } from 'knex';
import { sqlMigration } from 'nestjs-idempotency/sql';

// 'postgres', 'mysql' (also for MariaDB) or 'sqlite'. Add { limits: true } for the module's option `limits`.
const { up: create, down: drop } = sqlMigration('postgres');

export async function up(knex: Knex): Promise<void> {
  for (const statement of create) await knex.raw(statement);
}

export async function down(knex: Knex): Promise<void> {
  for (const statement of drop) await knex.raw(statement);
}
