// The table of the records as a Drizzle schema for PostgreSQL, so that drizzle-kit knows it. Copy it beside your own.
// For the module's option `limits`, also run the statements of postgres.limits.sql, in an empty migration.
import { bigint, boolean, customType, index, integer, pgTable, varchar } from 'drizzle-orm/pg-core';

const bytea = customType<{ data: Buffer }>({ dataType: () => 'bytea' });

export const idempotencyRecords = pgTable(
  'idempotency_records',
  {
    id: bytea('id').primaryKey(),
    state: varchar('state', { length: 9 }).notNull(),
    owner: bytea('owner').notNull(),
    attempt: integer('attempt').notNull(),
    fencingToken: bigint('fencing_token', { mode: 'number' }).notNull(),
    abandoned: boolean('abandoned').notNull(),
    fingerprint: bytea('fingerprint').notNull(),
    leaseEndsAt: bigint('lease_ends_at', { mode: 'number' }).notNull(),
    leaseMs: bigint('lease_ms', { mode: 'number' }).notNull(),
    expiresAt: bigint('expires_at', { mode: 'number' }),
    purgeAt: bigint('purge_at', { mode: 'number' }),
    steps: bytea('steps').notNull(),
    reply: bytea('reply'),
    reason: bytea('reason'),
    scope: bytea('scope'),
    label: bytea('label'),
    createdAt: bigint('created_at', { mode: 'number' }),
    claimedAt: bigint('claimed_at', { mode: 'number' }),
    heldAt: bigint('held_at', { mode: 'number' }),
    heldNote: bytea('held_note'),
    settledAt: bigint('settled_at', { mode: 'number' }),
    settledNote: bytea('settled_note'),
  },
  ({ purgeAt }) => [index('idempotency_records_purge_at').on(purgeAt)],
);
