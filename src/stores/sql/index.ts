export { SqlStore, type SqlStoreOptions } from './sql.store.js';
export {
  currentTransaction,
  type HasTransactions,
  outsideTransaction,
} from './current-transaction.js';
export type {
  SecondConnections,
  SqlConnection,
  SqlDialect,
  SqlExecutor,
  SqlQueries,
  SqlQuery,
  SqlResult,
  SqlValue,
} from './executor.js';
export { fromPg, type FromPgOptions, type PgClientOf, type PgPool } from './from-pg.js';
export { fromMysql2, type Mysql2ConnectionOf, type Mysql2Pool } from './from-mysql2.js';
export type { PurgeOptions } from './purge-timer.js';
export { type SqlMigration, sqlMigration, type SqlMigrationOptions } from './migration.js';
export type { TableName } from './dialect.js';
export { type DrizzleLike, type DrizzleTransactionOf, fromDrizzle } from './from-drizzle.js';
export { fromKnex, type KnexLike, type KnexTransactionOf } from './from-knex.js';
export {
  fromKysely,
  type FromKyselyOptions,
  type KyselyLike,
  type KyselyTransactionOf,
} from './from-kysely.js';
export { fromMikroOrm, type MikroOrmLike, type MikroOrmManagerOf } from './from-mikro-orm.js';
export {
  fromSequelize,
  type SequelizeLike,
  type SequelizeTransactionOf,
} from './from-sequelize.js';
export { fromPrisma, type PrismaLike, type PrismaTransactionOf } from './from-prisma.js';
export { sqlTable, type SqlTable, type SqlTableOptions } from './sql-table.js';
export { SqlResources, type SqlResourcesOptions } from './table-resource.js';
export {
  insertOrGet,
  type InsertOrGetRow,
  type RowValue,
  UniqueIndexConflictError,
} from './insert-or-get.js';
