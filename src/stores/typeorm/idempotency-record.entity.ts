import { Column, Entity, PrimaryColumn, type ValueTransformer } from 'typeorm';
import type { RecordState } from '../../engine/store.js';

/**
 * TypeORM has no type that means bytes in every database. No table is created from this class, so
 * any type will do whose values TypeORM passes on unchanged.
 */
const BYTES = 'varchar';

const AS_TEXT: ValueTransformer = {
  to: (text: string | null) => (text === null ? null : Buffer.from(text, 'utf8')),
  from: (bytes: Uint8Array | null) => (bytes === null ? null : Buffer.from(bytes).toString('utf8')),
};
const AS_HEX: ValueTransformer = {
  // Finders pass operators such as `In` as they are.
  to: (id: unknown) => (typeof id === 'string' ? Buffer.from(id, 'hex') : id),
  from: (bytes: Uint8Array) => Buffer.from(bytes).toString('hex'),
};
const AS_NUMBER: ValueTransformer = {
  to: (value: unknown) => value,
  from: (value: string | number | null) => (value === null ? null : Number(value)),
};

/**
 * A row of the table, for reading with a repository: `countBy({ state: 'held' })`. The migration
 * creates the table, and `synchronize` ignores it. Do not write with this class, because that
 * bypasses the store.
 */
@Entity({ name: 'idempotency_records', synchronize: false })
export class IdempotencyRecord {
  /** `sha256(scope, principal, key)` in hexadecimal. */
  @PrimaryColumn({ type: BYTES, transformer: AS_HEX })
  id!: string;

  @Column({ type: 'varchar', length: 9 })
  state!: RecordState;

  /** The current or last owner; empty for a record that was only issued. */
  @Column({ type: BYTES, transformer: AS_TEXT })
  owner!: string;

  @Column({ type: 'integer' })
  attempt!: number;

  @Column({ name: 'fencing_token', type: 'bigint', transformer: AS_NUMBER })
  fencingToken!: number;

  /** True if the last claim took over after the lease of the previous one had expired. */
  @Column({ type: 'boolean' })
  abandoned!: boolean;

  @Column({ type: BYTES, transformer: AS_TEXT })
  fingerprint!: string;

  /** In milliseconds since 1970 on the database's clock; 0 unless in flight. */
  @Column({ name: 'lease_ends_at', type: 'bigint', transformer: AS_NUMBER })
  leaseEndsAt!: number;

  /** The length of the lease in milliseconds. What remains of it is never more. */
  @Column({ name: 'lease_ms', type: 'bigint', transformer: AS_NUMBER })
  leaseMs!: number;

  /**
   * In milliseconds since 1970 on the database's clock; null if the record is kept until someone
   * settles it.
   */
  @Column({ name: 'expires_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  expiresAt!: number | null;

  /** When the purge may first look at the record, in milliseconds since 1970; held: 10^15 and more. */
  @Column({ name: 'purge_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  purgeAt!: number | null;

  /** All steps in one value. Use `store.find()` to read them. */
  @Column({ type: BYTES })
  steps!: Buffer;

  /** Only when completed. */
  @Column({ type: BYTES, nullable: true })
  reply!: Buffer | null;

  /** Only when held. */
  @Column({ type: BYTES, nullable: true, transformer: AS_TEXT })
  reason!: string | null;

  @Column({ type: BYTES, nullable: true, transformer: AS_TEXT })
  scope!: string | null;

  /** What the application calls the operation. */
  @Column({ type: BYTES, nullable: true, transformer: AS_TEXT })
  label!: string | null;

  /** When the record was made, in milliseconds since 1970, like the times below. */
  @Column({ name: 'created_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  createdAt!: number | null;

  /** When the last attempt began. */
  @Column({ name: 'claimed_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  claimedAt!: number | null;

  /** When the operation was held the last time. */
  @Column({ name: 'held_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  heldAt!: number | null;

  /** When somebody settled it. Use `store.find()` to read who and why. */
  @Column({ name: 'settled_at', type: 'bigint', nullable: true, transformer: AS_NUMBER })
  settledAt!: number | null;
}
