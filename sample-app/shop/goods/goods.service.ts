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

  /** Inserts the first goods, unless they already exist. */
  async onModuleInit(): Promise<void> {
    const goods = ON_THE_SHELF.map((name, index) => ({ id: index + 1, name, stock: STOCK }));
    await this.goods.createQueryBuilder().insert().values(goods).orIgnore().execute();
  }

  async find(id: number): Promise<Goods> {
    const goods = await this.goods.findOneBy({ id });
    if (goods === null) throw noSuchGoods();
    return goods;
  }

  /** Takes part in the caller's transaction. */
  async rename(id: number, name: string): Promise<void> {
    await currentManager(this.goods.manager.connection).update(Goods, { id }, { name });
  }

  /** Takes `by` pieces from stock, but never more than there are. */
  decrement(id: number, by: number): Promise<Pick<Goods, 'id' | 'stock'>> {
    // The update locks the row, so the read that follows sees its result.
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
        throw new ProblemException(HttpStatus.CONFLICT, 'Not enough left in stock.');
      return { id: left.id, stock: left.stock };
    });
  }
}

const noSuchGoods = (): ProblemException =>
  new ProblemException(HttpStatus.NOT_FOUND, 'These goods do not exist.');
