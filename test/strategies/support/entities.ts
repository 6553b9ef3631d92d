import { Column, DeleteDateColumn, Entity, PrimaryColumn, VersionColumn } from 'typeorm';

@Entity('goods')
export class Goods {
  @PrimaryColumn('integer', { unsigned: true }) id!: number;
  @Column('varchar', { length: 50, default: 'new' }) name!: string;
  @VersionColumn() version!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
}

/** Two primary columns, and a version that TypeORM does not know to be one. */
@Entity('prices')
export class Price {
  @PrimaryColumn('varchar', { length: 10 }) shop!: string;
  @PrimaryColumn('integer') goods!: number;
  @Column('integer', { default: 0 }) cents!: number;
  @Column('bigint', { default: 1 }) revision!: string;
}

@Entity('orders')
export class Order {
  @PrimaryColumn('integer') id!: number;
  @Column('simple-enum', { enum: ['created', 'paid', 'cancelled'], default: 'created' })
  status!: string;
  @Column('integer', { default: 1 }) stage!: number;
  @Column('varchar', { length: 50, default: '' }) note!: string;
}

/** Its version is none: it has decimal places. */
@Entity('fractions')
export class Fraction {
  @PrimaryColumn('integer') id!: number;
  @Column('decimal', { precision: 10, scale: 2 }) version!: string;
}

export const ENTITIES = [Goods, Price, Order, Fraction];
