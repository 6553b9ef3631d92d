import { createHash } from 'node:crypto';
import { type Dialect, statementsOf, type TableName } from './dialect.js';
import { MysqlRecords } from './mysql-records.js';
import { PostgresRecords } from './postgres-records.js';
import type { Session } from './session.js';
import { SqlRecords } from './records.js';

/** The records in a table, on the session of a transaction. */
export function recordsInTransaction(
  session: Session,
  dialect: Dialect,
  table: TableName,
): SqlRecords {
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
      return recordsOn(session, dialect, table);
  }
}

/** The records in a table, on this session. */
export function recordsOn(session: Session, dialect: Dialect, table: TableName): SqlRecords {
  switch (dialect) {
    case 'postgres':
      return new PostgresRecords(session, statementsOf(dialect, table), lockOf(table));
    case 'mysql':
      return new MysqlRecords(session, statementsOf(dialect, table), lockOf(table));
    case 'sqlite':
      return new SqlRecords(session, statementsOf(dialect, table));
  }
}

/** A number of 63 bits: the same on every node, and most probably different from other locks. */
function lockOf({ table, schema = '' }: TableName): string {
  const digest = createHash('sha256')
    .update(`nestjs-idempotency:purge:${schema}.${table}`)
    .digest();
  return String(digest.readBigInt64BE(0));
}
