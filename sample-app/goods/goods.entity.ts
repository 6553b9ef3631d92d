import { Column, Entity, PrimaryColumn, VersionColumn } from 'typeorm';

@Entity('goods')
export class Goods {
  @PrimaryColumn('integer')
  id!: number;

  @Column('text')
  name!: string;

  @Column('integer')
  stock!: number;

  /** One more with every change. */
  @VersionColumn({ default: 1 })
  version!: number;
}
