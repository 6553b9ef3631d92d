import { Args, Mutation, Resolver } from '@nestjs/graphql';
import { arg, Idempotent } from 'nestjs-idempotency';
import { bootGraphql, type GraphqlApp } from './support/graphql-app.js';

const typeDefs = `
  type Card { no: String! }
  type Cash { amount: Int! }
  union Payment = Card | Cash
  type Query { isUp: Boolean! }
  type Mutation { pay(orderNo: String!): Payment! refund(orderNo: String!): Int! }
`;

const runs: string[] = [];

@Resolver('Payment')
@Idempotent({ key: arg('orderNo') })
class Payments {
  @Mutation('pay')
  payOrder(@Args('orderNo') orderNo: string): object {
    runs.push(`pay ${orderNo}`);
    return { __typename: 'Card', no: orderNo };
  }

  @Mutation()
  refund(@Args('orderNo') orderNo: string): number {
    return runs.push(`refund ${orderNo}`);
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
    expect(runs).toEqual(['pay A', 'refund A']);
  });
});
