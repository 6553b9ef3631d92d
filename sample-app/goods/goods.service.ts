import { HttpStatus, Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { Repository } from 'typeorm';
import { ProblemException } from '../problems/problems.js';
import { Goods } from './goods.entity.js';

const ON_THE_SHELF = ['Lamp', 'Chair', 'Table', 'Shelf', 'Mirror'];
const STOCK = 1000;

@Injectable()
export class GoodsService implements OnModuleInit {
  constructor(@InjectRepository(Goods) private readonly goods: Repository<Goods>) {}

  /** Fills the shelf, unless that was done already. */
  async onModuleInit(): Promise<void> {
    const goods = ON_THE_SHELF.map((name, index) => ({ id: index + 1, name, stock: STOCK }));
    await this.goods.createQueryBuilder().insert().values(goods).orIgnore().execute();
  }

  /** Takes `by` pieces off the stock, in one statement, so that it never falls below zero. */
  async decrement(id: number, by: number): Promise<Pick<Goods, 'id' | 'stock'>> {
    const { raw } = await this.goods
      .createQueryBuilder()
      .update()
      .set({ stock: () => 'stock - :by' })
      .where('id = :id AND stock >= :by', { id, by })
      .returning(['id', 'stock'])
      .execute();
    const [left] = raw as Pick<Goods, 'id' | 'stock'>[];
    if (left) return left;
    if (await this.goods.existsBy({ id }))
      throw new ProblemException(HttpStatus.CONFLICT, 'There are not enough left in stock.');
    throw new ProblemException(HttpStatus.NOT_FOUND, 'There are no such goods.');
  }
}
