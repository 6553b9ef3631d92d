import { Controller, Param, Post, type Type } from '@nestjs/common';
import {
  body,
  Idempotent,
  type IdempotencyModuleOptions,
  type IdempotentDeclaration,
  ifMatch,
  isIdempotencyConfigurationError,
  MemoryStore,
  param,
} from 'nestjs-idempotency';
import { TypeOrmResources, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { Column, Entity, PrimaryColumn } from 'typeorm';
import { bootError } from '../support/http.js';
import { SQLITE } from '../support/sql-databases.js';
import { Fraction, Goods, Order, Price } from './support/entities.js';
import { StrategyShop } from './support/strategy-shop.js';

class NoEntity {}

@Entity('elsewhere')
class Elsewhere {
  @PrimaryColumn('integer') id!: number;
  @Column('integer') version!: number;
}

const GOODS = { strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() } as const;
const ORDER = {
  strategy: 'state',
  entity: Order,
  id: param('id'),
  column: 'stage',
  to: 2,
} as const;
const LOCK = { strategy: 'lock', key: param('id') } as const;

/** A handler with these decorators, outermost first. */
function controllerWith(layers: readonly object[]): Type {
  @Controller()
  class Shop {
    @Post('goods/:id')
    change(@Param('id') _id: string): void {}
  }
  const descriptor = Object.getOwnPropertyDescriptor(Shop.prototype, 'change')!;
  for (const layer of layers.toReversed())
    Idempotent(layer as IdempotentDeclaration)(Shop.prototype, 'change', descriptor);
  Object.defineProperty(Shop.prototype, 'change', descriptor);
  return Shop;
}

type Wrong = readonly [what: string, option: string, layers: readonly object[]];

const WRONG: readonly Wrong[] = [
  ['a strategy that does not exist', 'strategy', [{ strategy: 'versoin' }]],
  ['no entity', 'entity', [{ ...GOODS, entity: undefined }]],
  ['a class that is no entity', 'entity', [{ ...GOODS, entity: NoEntity }]],
  ['an entity of another data source', 'entity', [{ ...GOODS, entity: Elsewhere }]],
  ['no version column', 'column', [{ ...GOODS, entity: Order }]],
  ['a version column that does not exist', 'column', [{ ...GOODS, column: 'revision' }]],
  ['a version that is text', 'column', [{ ...GOODS, column: 'name' }]],
  ['a version with decimal places', 'column', [{ ...GOODS, entity: Fraction, column: 'version' }]],
  ['no id', 'id', [{ ...GOODS, id: undefined }]],
  ['too few parts of an id', 'id', [{ ...GOODS, entity: Price, column: 'revision' }]],
  ['too many parts of an id', 'id', [{ ...GOODS, id: [param('id'), param('id')] }]],
  ['no version', 'version', [{ ...GOODS, version: undefined }]],
  ['a version that is no source', 'version', [{ ...GOODS, version: 'If-Match' }]],
  ['an unknown mode', 'mode', [{ ...GOODS, mode: 'older' }]],
  ['a newer version in If-Match', 'version', [{ ...GOODS, mode: 'newer' }]],
  ['a key', 'key', [{ ...GOODS, key: body('no') }]],
  ['a fingerprint', 'fingerprint', [{ ...ORDER, fingerprint: false }]],
  ['an option of another strategy', 'mode', [{ ...ORDER, mode: 'newer' }]],
  ['an option of another strategy', 'to', [{ ...GOODS, to: 'paid' }]],
  ['an option of a strategy without one', 'entity', [{ entity: Goods }]],
  ['no state column', 'column', [{ ...ORDER, column: undefined }]],
  ['a state column that does not exist', 'column', [{ ...ORDER, column: 'state' }]],
  ['no state to go to', 'to', [{ ...ORDER, to: undefined }]],
  ['a state that is no number', 'to', [{ ...ORDER, to: Number.NaN }]],
  ['text without states before it', 'from', [{ ...ORDER, column: 'status', to: 'paid' }]],
  ['no states before it', 'from', [{ ...ORDER, from: [] }]],
  ['itself before it', 'from', [{ ...ORDER, from: [1, 2] }]],
  ['transitions that never lead there', 'from', [{ ...ORDER, from: { 1: [3] } }]],
  ['no transaction', 'transaction', [{ ...GOODS, transaction: 'billing' }]],
  ['a lock without a key', 'key', [{ strategy: 'lock' }]],
  ['a lock that keeps a reply', 'ttl', [{ ...LOCK, ttl: '1h' }]],
  ['a lock in a transaction', 'transaction', [{ ...LOCK, transaction: true }]],
  ['two layers of one strategy', 'scope', [LOCK, LOCK]],
  ['a scope twice', 'scope', [{ scope: 'one' }, { ...GOODS, scope: 'one' }]],
];

// Declarations are read before there is a platform.
describe('wrong declarations of strategies', () => {
  let shop: StrategyShop;
  beforeAll(async () => {
    shop = await StrategyShop.on(SQLITE);
  });
  afterAll(() => shop?.close());

  async function expectError(
    option: string,
    layers: readonly object[],
    idempotency: IdempotencyModuleOptions = { store: shop.store() },
  ): Promise<Error> {
    const error = await bootError('express', {
      controllers: [controllerWith(layers)],
      idempotency,
    });
    expect(isIdempotencyConfigurationError(error)).toBe(true);
    expect(error.message).toMatch(
      new RegExp(
        `^Idempotency option "${option} of Shop.change" is .+\\. Accepted: .+\\. .+\\.$`,
        's',
      ),
    );
    return error;
  }

  it.each(WRONG)('stop the application: %s (%s)', async (_what, option, layers) => {
    await expectError(option, layers);
  });

  it('name the strategies that there are', async () => {
    const { message } = await expectError('strategy', [{ strategy: 'versoin' }]);
    for (const name of ['unique-key', 'version', 'state', 'lock'])
      expect(message).toContain(`'${name}'`);
  });

  it('name the columns that there are', async () => {
    const { message } = await expectError('column', [{ ...ORDER, column: 'state' }]);
    expect(message).toContain('id, status, stage, note');
  });

  it('include entities with a store that knows none', async () => {
    const { message } = await expectError('entity', [GOODS], { store: new MemoryStore() });
    expect(message).toContain('TypeOrmResources');
  });

  it('include a transaction with a store that cannot', async () => {
    const { dataSource } = shop;
    await expectError('transaction', [{ ...GOODS, transaction: true }], {
      store: new MemoryStore(),
      resources: new TypeOrmResources({ dataSource }),
    });
  });

  it.each<[what: string, layers: readonly object[]]>([
    ['on it', [{ ...GOODS, transaction: true }]],
    ['around it', [{ transaction: true }, GOODS]],
  ])('include rows with a transaction of their own, and one of the store %s', async (_, layers) => {
    const resources = new TypeOrmResources({ dataSource: shop.dataSource });
    await expectError('transaction', layers, { store: shop.store(), resources });
  });

  it('include layers of two data sources', async () => {
    const { dataSource } = shop;
    const store = new TypeOrmStore({ dataSource, sources: { billing: dataSource }, purge: false });
    await expectError('transaction', [{ transaction: 'billing' }, GOODS], { store });
  });

  it('do not include what is right', async () => {
    const layers = [{ key: body('no') }, LOCK, GOODS, ORDER];
    await expect(
      bootError('express', {
        controllers: [controllerWith(layers)],
        idempotency: { store: shop.store() },
      }),
    ).rejects.toThrow('The application booted.');
  });
});
