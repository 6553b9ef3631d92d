import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('coupons')
export class Coupon {
  @PrimaryColumn('varchar', { length: 64 })
  id!: string;

  /** How many were claimed. */
  @Column('integer')
  claimed!: number;

  /** Of the last one who held the lock. A `bigint` is text to drivers. */
  @Column('bigint')
  fencingToken!: string;
}
