import type { InsertOrGetResult } from 'nestjs-idempotency/typeorm';
import {
  AfterLoad,
  Column,
  CreateDateColumn,
  type DataSourceOptions,
  DeleteDateColumn,
  Entity,
  Index,
  JoinColumn,
  ManyToOne,
  PrimaryColumn,
  PrimaryGeneratedColumn,
  Unique,
  VersionColumn,
} from 'typeorm';

class Price {
  @Column({
    name: 'price_cents',
    type: 'int',
    transformer: {
      to: (euros?: number) => euros && euros * 100,
      from: (cents: number) => cents / 100,
    },
  })
  euros!: number;

  @Column({ length: 3, default: 'EUR' })
  currency!: string;
}

@Entity('listings')
@Unique(['goodsId', 'categoryId'])
export class Listing {
  @PrimaryGeneratedColumn('uuid') id!: string;
  @Column({ name: 'goods_id', type: 'bigint' }) goodsId!: string;
  @Column({ name: 'category_id', type: 'int' }) categoryId!: number;
  @Column({ type: 'varchar', length: 8, nullable: true, unique: true }) slug!: string | null;
  @Column({ type: Boolean, default: true }) visible!: boolean;
  @Column({ type: 'varchar', length: 20, default: 'hidden', select: false }) note?: string;
  @Column({ type: 'simple-json', nullable: true }) tags!: string[] | null;
  @Column(() => Price) price!: Price;
  @CreateDateColumn() createdAt!: Date;
  @VersionColumn() version!: number;
  @DeleteDateColumn() deletedAt!: Date | null;
}

@Entity('brands')
export class Brand {
  @PrimaryGeneratedColumn() id!: number;
  @Column({ length: 20, unique: true }) code!: string;
}

@Entity('models')
@Index(['brand', 'label'], { unique: true })
export class Model {
  @PrimaryColumn({ length: 36 }) id!: string;
  @ManyToOne(() => Brand, { eager: true }) @JoinColumn({ name: 'brand_id' }) brand!: Brand;
  @Column({ length: 20 }) label!: string;
  loaded = false;

  @AfterLoad()
  load(): void {
    this.loaded = true;
  }
}

export const LISTINGS = {
  entities: [Listing, Brand, Model],
  synchronize: true,
  // Not every PostgreSQL has extensions; this makes UUIDs without one.
  uuidExtension: 'pgcrypto',
  installExtensions: false,
} satisfies Partial<DataSourceOptions>;

export const CALLERS = Array.from({ length: 32 }, (_, at) => at);

let lastGoods = 0;
/** A listing that nobody has yet. */
export const listing = () => ({
  goodsId: String((lastGoods += 1)),
  categoryId: 7,
  price: { euros: 12.5 },
});

export const countInserted = (results: readonly InsertOrGetResult<unknown>[]): number =>
  results.filter(({ inserted }) => inserted).length;
