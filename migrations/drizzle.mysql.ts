// The table of the records as a Drizzle schema for MySQL and MariaDB, so that drizzle-kit knows it. Copy it beside your own.
// For the module's option `limits`, also run the statements of mysql.limits.sql, in an empty migration.
import {
  bigint,
  boolean,
  customType,
  index,
  int,
  mysqlTable,
  varchar,
} from 'drizzle-orm/mysql-core';

const binary32 = customType<{ data: Buffer }>({ dataType: () => 'binary(32)' });
const blob = customType<{ data: Buffer }>({ dataType: () => 'blob' });
const longblob = customType<{ data: Buffer }>({ dataType: () => 'longblob' });

export const idempotencyRecords = mysqlTable(
  'idempotency_records',
  {
    id: binary32('id').primaryKey(),
    state: varchar('state', { length: 9 }).notNull(),
    owner: blob('owner').notNull(),
    attempt: int('attempt').notNull(),
    fencingToken: bigint('fencing_token', { mode: 'number' }).notNull(),
    abandoned: boolean('abandoned').notNull(),
    fingerprint: blob('fingerprint').notNull(),
    leaseEndsAt: bigint('lease_ends_at', { mode: 'number' }).notNull(),
    leaseMs: bigint('lease_ms', { mode: 'number' }).notNull(),
    expiresAt: bigint('expires_at', { mode: 'number' }),
    purgeAt: bigint('purge_at', { mode: 'number' }),
    steps: longblob('steps').notNull(),
    reply: longblob('reply'),
    reason: longblob('reason'),
    scope: blob('scope'),
    label: blob('label'),
    createdAt: bigint('created_at', { mode: 'number' }),
    claimedAt: bigint('claimed_at', { mode: 'number' }),
    heldAt: bigint('held_at', { mode: 'number' }),
    heldNote: blob('held_note'),
    settledAt: bigint('settled_at', { mode: 'number' }),
    settledNote: blob('settled_note'),
  },
  ({ purgeAt }) => [index('idempotency_records_purge_at').on(purgeAt)],
);
