import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity('goods')
export class Goods {
  @PrimaryColumn('integer')
  id!: number;

  @Column('text')
  name!: string;

  @Column('integer')
  stock!: number;
}
