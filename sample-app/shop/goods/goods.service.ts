import { HttpStatus, Injectable, type OnModuleInit } from '@nestjs/common';
import { InjectRepository } from '@nestjs/typeorm';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { Repository } from 'typeorm';
import { ProblemException } from '../common/problems/problems.js';
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

  async find(id: number): Promise<Goods> {
    const goods = await this.goods.findOneBy({ id });
    if (goods === null) throw noSuchGoods();
    return goods;
  }

  /** Part of the transaction that it is called in. */
  async rename(id: number, name: string): Promise<void> {
    await currentManager(this.goods.manager.connection).update(Goods, { id }, { name });
  }

  /** Takes `by` pieces off the stock, and never more than there are. */
  decrement(id: number, by: number): Promise<Pick<Goods, 'id' | 'stock'>> {
    // The change locks the row, so that what is read afterwards is what it left.
    return this.goods.manager.transaction(async (manager) => {
      const { affected } = await manager
        .createQueryBuilder()
        .update(Goods)
        .set({ stock: () => 'stock - :by' })
        .where('id = :id AND stock >= :by', { id, by })
        .execute();
      const left = await manager.findOne(Goods, {
        select: { id: true, stock: true },
        where: { id },
      });
      if (left === null) throw noSuchGoods();
      if (affected === 0)
        throw new ProblemException(HttpStatus.CONFLICT, 'There are not enough left in stock.');
      return { id: left.id, stock: left.stock };
    });
  }
}

const noSuchGoods = (): ProblemException =>
  new ProblemException(HttpStatus.NOT_FOUND, 'There are no such goods.');
