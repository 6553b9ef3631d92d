import {
  Args,
  createUnionType,
  Field,
  Int,
  InterfaceType,
  Mutation,
  ObjectType,
  Resolver,
} from '@nestjs/graphql';
import { arg, Idempotent } from 'nestjs-idempotency';
import { type Observable, of } from 'rxjs';
import { bootGraphql, type GraphqlApp } from './support/graphql-app.js';

let runs: string[];
beforeEach(() => {
  runs = [];
});

@ObjectType()
class Money {
  @Field(() => Int)
  amount: number;

  constructor(amount: number) {
    this.amount = amount;
  }

  @Field()
  get text(): string {
    return `${this.amount} EUR`;
  }
}

@InterfaceType()
abstract class Receipt {
  @Field()
  no!: string;
}

@ObjectType({ implements: () => [Receipt] })
class CardReceipt implements Receipt {
  no: string = 'C-1';

  @Field(() => Money)
  paid: Money = new Money(3);
}

@ObjectType('Cash', { implements: () => [Receipt] })
class CashReceipt implements Receipt {
  no: string = 'B-1';

  @Field()
  at: Date = new Date(0);
}

/** Nothing that the schema knows of. */
class EuroCash extends CashReceipt {
  readonly currency = 'EUR';
}

const Payment = createUnionType({
  name: 'Payment',
  types: () => [CardReceipt, CashReceipt] as const,
});
const Chosen = createUnionType({
  name: 'Chosen',
  types: () => [CardReceipt, CashReceipt] as const,
  resolveType: (value: unknown) => (value instanceof CardReceipt ? CardReceipt : CashReceipt),
});

@ObjectType()
class Basket {
  @Field(() => [Payment])
  payments!: (typeof Payment)[];

  @Field(() => [Receipt])
  receipts!: Receipt[];

  @Field(() => Chosen)
  chosen!: typeof Chosen;
}

@Resolver()
class Values {
  @Idempotent()
  @Mutation(() => Basket)
  async basket(): Promise<Basket> {
    runs.push('basket');
    const card = new CardReceipt();
    return { payments: [card, new EuroCash()], receipts: [new CashReceipt(), card], chosen: card };
  }

  @Idempotent()
  @Mutation(() => Payment)
  named(): object {
    runs.push('named');
    return { __typename: 'Cash', no: 'N', at: new Date(0) };
  }

  @Idempotent()
  @Mutation(() => [Int], { nullable: true })
  nothing(): Observable<null> {
    runs.push('nothing');
    return of(null);
  }

  @Idempotent()
  @Mutation(() => [Int])
  later(): unknown {
    runs.push('later');
    return [() => 1];
  }
}

describe('what a mutation returns', () => {
  let app: GraphqlApp;

  beforeAll(async () => {
    app = await bootGraphql({ providers: [Values] });
  });

  afterAll(() => app?.close());

  const basket = `mutation { basket {
    payments { __typename ... on CardReceipt { paid { amount text } } ... on Cash { at } }
    receipts { __typename no }
    chosen { __typename ... on Receipt { no } }
  } }`;
  const expected = {
    payments: [
      { __typename: 'CardReceipt', paid: { amount: 3, text: '3 EUR' } },
      { __typename: 'Cash', at: '1970-01-01T00:00:00.000Z' },
    ],
    receipts: [
      { __typename: 'Cash', no: 'B-1' },
      { __typename: 'CardReceipt', no: 'C-1' },
    ],
    chosen: { __typename: 'CardReceipt', no: 'C-1' },
  };

  it('is replayed with the classes of its objects, and so with getters, unions and interfaces', async () => {
    for (let time = 0; time < 3; time++)
      expect(await app.ask(basket, { key: 'v-1' })).toEqual({ data: { basket: expected } });
    expect(runs).toEqual(['basket']);
  });

  it('may be selected from anew by a retry', async () => {
    await app.ask('mutation { basket { chosen { __typename } } }', { key: 'v-2' });
    expect(await app.ask(basket, { key: 'v-2' })).toEqual({ data: { basket: expected } });
  });

  it('is replayed when it names its type itself', async () => {
    const document = 'mutation { named { ... on Cash { no at } } }';
    const first = await app.ask(document, { key: 'v-3' });
    expect(first).toEqual({ data: { named: { no: 'N', at: '1970-01-01T00:00:00.000Z' } } });
    expect(await app.ask(document, { key: 'v-3' })).toEqual(first);
    expect(runs).toEqual(['named']);
  });

  it('may be nothing, or come from an observable', async () => {
    for (let time = 0; time < 2; time++)
      expect(await app.ask('mutation { nothing }', { key: 'v-4' })).toEqual({
        data: { nothing: null },
      });
    expect(runs).toEqual(['nothing']);
  });

  it('is not replayed when it cannot be kept', async () => {
    await app.fail('mutation { later }', { key: 'v-5' });
    expect(await app.fail('mutation { later }', { key: 'v-5' })).toMatchObject({
      extensions: { code: 'IDEMPOTENCY_REPLY_NOT_KEPT', retryable: false },
    });
    expect(runs).toEqual(['later']);
  });
});

const typeDefs = `
  type Card { no: String! }
  type Cash { amount: Int! }
  union Payment = Card | Cash
  type Query { isUp: Boolean! }
  type Mutation { pay(orderNo: String!): Payment! refund(orderNo: String!): Int! }
`;

const called: string[] = [];

@Resolver('Payment')
@Idempotent({ key: arg('orderNo') })
class Payments {
  @Mutation('pay')
  payOrder(@Args('orderNo') orderNo: string): object {
    called.push(`pay ${orderNo}`);
    return { __typename: 'Card', no: orderNo };
  }

  @Mutation()
  refund(@Args('orderNo') orderNo: string): number {
    return called.push(`refund ${orderNo}`);
  }
}

describe('mutations of a schema that was there first', () => {
  let app: GraphqlApp;

  beforeAll(async () => {
    app = await bootGraphql({ providers: [Payments], typeDefs });
  });

  afterAll(() => app?.close());

  it('run once', async () => {
    const document = `mutation {
      pay(orderNo: "A") { __typename ... on Card { no } }
      refund(orderNo: "A")
    }`;
    const first = await app.ask(document);
    expect(first).toEqual({ data: { pay: { __typename: 'Card', no: 'A' }, refund: 2 } });
    expect(await app.ask(document)).toEqual(first);
    expect(called).toEqual(['pay A', 'refund A']);
  });
});
