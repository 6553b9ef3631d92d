import { createHash } from 'node:crypto';
import type { DataSource } from 'typeorm';
import { dialectOf, statementsOf, type TableName } from './dialect.js';
import { MysqlRecords } from './mysql-records.js';
import { PostgresRecords } from './postgres-records.js';
import {
  DataSourceSession,
  PreparedSession,
  RetryingSession,
  type Session,
  SqliteSession,
} from './sessions.js';
import { SqlRecords } from './records.js';

interface OpenOptions {
  /** Only for PostgreSQL. */
  readonly isPrepared: boolean;
}

/** The records in a table of the data source. Each statement is its own transaction. */
export function openRecords(
  dataSource: DataSource,
  table: TableName,
  { isPrepared }: OpenOptions,
): SqlRecords {
  const type = dataSource.options.type;
  return recordsOn(new RetryingSession(sessionOf(dataSource, isPrepared)), type, table);
}

/** The records in a table, on the session of a transaction. */
export function recordsInTransaction(session: Session, type: string, table: TableName): SqlRecords {
  const dialect = dialectOf(type);
  switch (dialect) {
    case 'postgres':
      return new PostgresRecords(session, statementsOf(dialect, table), lockOf(table), true);
    case 'mysql': {
      const statements = statementsOf(dialect, table);
      const { findForUpdate } = statements;
      const inTransaction = { ...statements, find: findForUpdate };
      return new MysqlRecords(session, inTransaction, lockOf(table), true);
    }
    case 'sqlite':
      return recordsOn(session, type, table);
  }
}

/** The records in a table, on this session. */
export function recordsOn(session: Session, type: string, table: TableName): SqlRecords {
  const dialect = dialectOf(type);
  switch (dialect) {
    case 'postgres':
      return new PostgresRecords(session, statementsOf(dialect, table), lockOf(table));
    case 'mysql':
      return new MysqlRecords(session, statementsOf(dialect, table), lockOf(table));
    case 'sqlite':
      return new SqlRecords(session, statementsOf(dialect, table));
  }
}

function sessionOf(dataSource: DataSource, isPrepared: boolean): Session {
  switch (dialectOf(dataSource.options.type)) {
    case 'postgres':
      return isPrepared ? new PreparedSession(dataSource) : new DataSourceSession(dataSource);
    case 'mysql':
      return new DataSourceSession(dataSource);
    case 'sqlite':
      return new SqliteSession(dataSource);
  }
}

/** A number of 63 bits: the same on every node, and most probably different from other locks. */
function lockOf({ table, schema = '' }: TableName): string {
  const digest = createHash('sha256')
    .update(`nestjs-idempotency:purge:${schema}.${table}`)
    .digest();
  return String(digest.readBigInt64BE(0));
}
