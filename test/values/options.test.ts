import { Controller, Injectable, Post, type Type } from '@nestjs/common';
import { Decimal } from 'decimal.js';
import {
  arg,
  Idempotent,
  type IdempotencyModuleOptions,
  IdempotencyService,
  isIdempotencyConfigurationError,
  recoveredReply,
  replyType,
} from 'nestjs-idempotency';
import { boot, bootError } from '../support/http.js';

class Order {}
class Secret {
  #text = 'x';

  is(text: string): boolean {
    return text === this.#text;
  }
}
const Namesake = { Order: class Order {} }.Order;

async function problemOf(
  idempotency: IdempotencyModuleOptions,
  providers: Type[] = [],
  controllers: Type[] = [],
): Promise<string> {
  const error = await bootError('express', { controllers, providers, idempotency });
  if (!isIdempotencyConfigurationError(error)) throw error;
  return error.message;
}

const withReturns = (returns: unknown): Type => {
  @Injectable()
  class Shop {
    @Idempotent({ key: arg(0), returns: returns as never })
    async pay(id: string): Promise<string> {
      return Promise.resolve(id);
    }
  }
  return Shop;
};

describe('returns', () => {
  it.each<[string, unknown, RegExp]>([
    ['a name', 'Order', /"returns of Shop.pay" is "Order"\. Accepted: a class, a replyType/],
    ['a function without a prototype', () => Order, /Accepted: a class/],
    ['an empty list', [], /"returns of Shop.pay" is an empty list/],
    ['a class without a name', class {}, /a class that has one/],
    ['a class with private state', Secret, /a class without private state.+replyType/],
    ['two classes of one name', [Order, Namesake], /is "Order".+a name of its own/],
    ['a type with one function', [{ name: 'a', class: Decimal, toData: String }], /both functions/],
  ])('refuses %s', async (_, returns, problem) => {
    expect(await problemOf({}, [withReturns(returns)])).toMatch(problem);
  });

  it('counts for the reply with which an operator settles', async () => {
    let runs = 0;
    class Receipt {
      constructor(readonly no: string) {}

      get isPaid(): boolean {
        return this.no !== '';
      }
    }
    @Injectable()
    class Shop {
      constructor(private readonly idempotency: IdempotencyService) {}

      @Idempotent({ key: arg(0), scope: 'pay', returns: Receipt })
      async pay(_id: string): Promise<Receipt> {
        runs += 1;
        await this.idempotency.current()!.hold('the bank is silent');
        return new Receipt('');
      }
    }
    const app = await boot('express', { controllers: [], providers: [Shop] });
    const pay = () => app.app.get(Shop).pay('A');
    await pay();
    const settled = recoveredReply(new Receipt('A-1'));
    const idempotency = app.app.get(IdempotencyService);
    expect(await idempotency.settle({ scope: 'pay', key: 'A' }, settled)).toBe(true);
    const receipt = await pay();
    await app.close();
    expect(receipt).toBeInstanceOf(Receipt);
    expect(receipt).toMatchObject({ no: 'A-1', isPaid: true });
    expect(runs).toBe(1);
  });

  it('is nothing for a route', async () => {
    @Controller()
    class Routes {
      @Post()
      @Idempotent({ returns: Order })
      pay(): void {}
    }
    expect(await problemOf({}, [], [Routes])).toMatch(
      /"returns of Routes.pay".+nothing on a route/,
    );
  });

  it('is no default', async () => {
    const defaults = { returns: Order } as never;
    expect(await problemOf({ defaults })).toContain('"defaults.returns"');
  });
});

describe('types', () => {
  const decimal = {
    name: 'decimal',
    class: Decimal,
    toData: String,
    fromData: (text: string) => new Decimal(text),
  };

  it.each<[string, unknown, RegExp]>([
    ['something else than a list', decimal, /"types".+a list of replyType/],
    ['a class', [Decimal], /"types" is the function Decimal/],
    ['a type without a name', [{ ...decimal, name: '' }], /"types: name" is ""/],
    ['a type without a class', [{ ...decimal, class: undefined }], /"types" is an object/],
    ['one of two functions', [{ ...decimal, fromData: undefined }], /both functions, or neither/],
    ['no functions for private state', [{ name: 's', class: Secret }], /without private state/],
    ['two types of one name', [decimal, decimal], /is "decimal".+a name of its own/],
  ])('refuses %s', async (_, types, problem) => {
    expect(await problemOf({ types: types as never })).toMatch(problem);
  });

  it('takes what replyType() makes', () => {
    expect(replyType(decimal)).toBe(decimal);
  });
});
