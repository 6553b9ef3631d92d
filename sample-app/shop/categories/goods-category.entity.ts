import { Column, Entity, PrimaryGeneratedColumn, Unique } from 'typeorm';

@Entity('goods_categories')
@Unique(['goodsId', 'categoryId'])
export class GoodsCategory {
  @PrimaryGeneratedColumn()
  id!: number;

  @Column('integer')
  goodsId!: number;

  @Column('integer')
  categoryId!: number;
}
