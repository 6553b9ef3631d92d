import { replyType } from 'nestjs-idempotency';
import type { CompleteRequest, SaveStepRequest } from 'nestjs-idempotency/contracts';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import {
  Column,
  type DataSource,
  Entity,
  type Logger,
  ManyToOne,
  OneToMany,
  PrimaryColumn,
  type Relation,
} from 'typeorm';
import { contain } from './in-process.js';
import { type Kind, lost, SECRET } from './kinds.js';

@Entity()
class Shop {
  @PrimaryColumn()
  id!: number;

  @Column()
  name!: string;

  @OneToMany(() => Order, ({ shop }) => shop)
  orders!: Promise<Relation<Order>[]>;
}

@Entity()
class Order {
  @PrimaryColumn()
  id!: number;

  @Column()
  no!: string;

  @ManyToOne(() => Shop, ({ orders }) => orders)
  shop!: Promise<Relation<Shop>>;

  @OneToMany(() => Line, ({ order }) => order, { eager: true })
  lines!: Relation<Line>[];
}

@Entity()
class Line {
  @PrimaryColumn()
  id!: number;

  @Column()
  sku!: string;

  @ManyToOne(() => Order, ({ lines }) => lines)
  order?: Relation<Order>;
}

/** Its accessor shows part of what is in it. */
@Entity()
class Customer {
  @PrimaryColumn()
  id!: number;

  @Column()
  hash!: string;

  get initials(): string {
    return `no. ${this.id}`;
  }
}

export const ENTITIES = [Shop, Order, Line, Customer];

/** Counts the statements of a data source. */
export class Statements implements Logger {
  readonly seen: string[] = [];

  logQuery(query: string): void {
    this.seen.push(query);
  }

  logQueryError(): void {}
  logQuerySlow(): void {}
  logSchemaBuild(): void {}
  logMigration(): void {}
  log(): void {}
}

/** The application's own data source is the store's. */
export class SeenEntities extends TypeOrmStore {
  private readonly replies: Uint8Array[] = [];

  override complete(request: CompleteRequest) {
    this.replies.push(request.reply);
    return super.complete(request);
  }

  override saveStep(request: SaveStepRequest) {
    this.replies.push(request.value);
    return super.saveStep(request);
  }

  contains(text: string): boolean {
    return contain(this.replies, text);
  }
}

export async function fill({ manager }: DataSource): Promise<void> {
  await manager.insert(Shop, { id: 1, name: 'corner' });
  await manager.insert(Order, { id: 7, no: 'A-7', shop: { id: 1 } as never });
  await manager.insert(Line, [
    { id: 1, sku: 'tea', order: { id: 7 } as never },
    { id: 2, sku: 'milk', order: { id: 7 } as never },
  ]);
  await manager.insert(Customer, [
    { id: 3, hash: SECRET },
    { id: 4, hash: 'shown' },
  ]);
}

/** What a TypeORM data source loads. */
export function entityKinds(dataSource: () => DataSource): readonly Kind[] {
  const find = async <T extends object>(type: new () => T, id: number): Promise<T> =>
    dataSource().manager.findOneByOrFail(type, { id } as never);
  const lazy = 'an Order object, which has accessors';
  return [
    { name: 'entity', make: () => find(Line, 1), outcome: 'equal' },
    {
      name: 'list of entities',
      make: () => dataSource().manager.find(Line, { order: { id: 'ASC' } }),
      outcome: 'equal',
    },
    {
      name: 'page of entities',
      make: () => dataSource().manager.findAndCount(Line, { order: { id: 'ASC' } }),
      outcome: 'equal',
    },
    lost('entity with a lazy relation that is not loaded', () => find(Order, 7), lazy),
    lost(
      'entity with a lazy relation that is loaded',
      async () => {
        const order = await find(Order, 7);
        await order.shop;
        return { order };
      },
      `value.order is ${lazy}`,
    ),
    lost(
      'entity whose relation is loaded with it',
      () => dataSource().manager.findOne(Order, { where: { id: 7 }, relations: { shop: true } }),
      lazy,
    ),
    {
      name: 'entity with a lazy relation, as a type',
      make: () => find(Order, 7),
      returns: replyType({
        name: 'order',
        class: Order,
        toData: ({ id, no, lines }) => ({ id, no, lines }),
        fromData: (given) => dataSource().manager.create(Order, given),
      }),
      outcome: 'equal',
    },
    lost(
      'entity with an accessor',
      () => find(Customer, 3),
      'value is a Customer object, which has accessors',
    ),
    {
      name: 'entity with an accessor, with returns',
      make: () => find(Customer, 4),
      returns: Customer,
      outcome: 'equal',
    },
  ];
}
