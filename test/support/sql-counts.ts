import type { DataSource } from 'typeorm';

/** How many statements about the records the database itself has seen so far. */
export type StatementCount = () => Promise<number>;

/** PostgreSQL's own count, by `pg_stat_statements`, which must be preloaded. */
export async function countOnPostgres(dataSource: DataSource): Promise<StatementCount> {
  await dataSource.query('CREATE EXTENSION IF NOT EXISTS pg_stat_statements');
  return async () => {
    const [row] = (await dataSource.query(
      `SELECT coalesce(sum(calls), 0) AS calls FROM pg_stat_statements
       WHERE query LIKE '%idempotency_' || 'records%'
       AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    )) as [{ calls: string }];
    return Number(row.calls);
  };
}

/** MariaDB's own count, by its general log: of a server of the test's own. */
export async function countOnMariadb(dataSource: DataSource): Promise<StatementCount> {
  await dataSource.query("SET GLOBAL log_output = 'TABLE'");
  await dataSource.query('SET GLOBAL general_log = 1');
  return async () => {
    const [row] = (await dataSource.query(
      `SELECT count(*) AS calls FROM mysql.general_log
       WHERE command_type IN ('Query', 'Execute') AND argument LIKE concat('%idempotency', '_records%')`,
    )) as [{ calls: string }];
    return Number(row.calls);
  };
}

/** TypeORM's count of statements about a table, for SQLite has none. */
export function countByLogger(
  dataSource: DataSource,
  table = 'idempotency_records',
): StatementCount {
  let calls = 0;
  const { logger } = dataSource;
  const logQuery = logger.logQuery.bind(logger);
  logger.logQuery = (query, ...rest) => {
    if (query.includes(table)) calls += 1;
    logQuery(query, ...rest);
  };
  return () => Promise.resolve(calls);
}
