import { Column, Entity, PrimaryColumn, type ValueTransformer } from 'typeorm';
import type { RecordState } from '../../engine/store.js';

/**
 * No type of TypeORM means bytes in every database. Since no table is made from this class, any
 * will do whose values TypeORM hands through as they are.
 */
const BYTES = 'varchar';

const AS_TEXT: ValueTransformer = {
  to: (text: string | null) => (text === null ? null : Buffer.from(text, 'utf8')),
  from: (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('utf8')),
};
const AS_HEX: ValueTransformer = {
  // Finders hand operators such as `In` through whole.
  to: (id: unknown) => (typeof id === 'string' ? Buffer.from(id, 'hex') : id),
  from: (bytes: Uint8Array) => Buffer.from(bytes).toString('hex'),
};
const AS_NUMBER: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | number | null) => (value === null ? null : Number(value)),
};

/**
 * A row of the table, to look at with a repository: `countBy({ state: 'held' })`. The table is made
 * by the migration, and `synchronize` leaves it alone. What is changed here goes past the store.
 */
@Entity({ name: 'idempotency_records', synchronize: false })
export class IdempotencyRecord {
  /** `sha256(scope, principal, key)` in hexadecimal. */
  @PrimaryColumn({ type: BYTES, transformer: AS_HEX })
  id!: string;

  @Column({ type: 'varchar', length: 9 })
  state!: RecordState;

  /** The present or last owner; empty for a record that was only issued. */
  @Column({ type: BYTES, transformer: AS_TEXT })
  owner!: string;

  @Column({ type: 'integer' })
  attempt!: number;

  @Column({ name: 'fencing_token', type: 'bigint', transformer: AS_NUMBER })
  fencingToken!: number;

  /** True when the last claim took over from one that ran out of its lease. */
  @Column({ type: 'boolean' })
  abandoned!: boolean;

  @Column({ type: BYTES, transformer: AS_TEXT })
  fingerprint!: string;

  /** In milliseconds since 1970 on the database's clock; 0 unless in flight. */
  @Column({ name: 'lease_ends_at', type: 'bigint', transformer: AS_NUMBER })
  leaseEndsAt!: number;

  /** How long the lease is, in milliseconds: what remains of it is never more. */
  @Column({ name: 'lease_ms', type: 'bigint', transformer: AS_NUMBER })
  leaseMs!: number;

  /** In milliseconds since 1970 on the database's clock; null when kept until someone settles it. */
  @Column({ name: 'expires_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  expiresAt!: number | null;

  /** From when on the purge looks at the record, in milliseconds since 1970. */
  @Column({ name: 'purge_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  purgeAt!: number | null;

  /** Framed; `store.find()` tells the steps apart. */
  @Column({ type: BYTES })
  steps!: Buffer;

  /** Only when completed. */
  @Column({ type: BYTES, nullable: true })
  reply!: Buffer | null;

  /** Only when held. */
  @Column({ type: BYTES, nullable: true, transformer: AS_TEXT })
  reason!: string | null;
}
