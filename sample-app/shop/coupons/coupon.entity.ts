import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('coupons')
export class Coupon {
  @PrimaryColumn('varchar', { length: 64 })
  id!: string;

  /** How many were claimed. */
  @Column('integer')
  claimed!: number;

  /** The fencing token of the last holder of the lock. Drivers return a `bigint` as text. */
  @Column('bigint')
  fencingToken!: string;
}
