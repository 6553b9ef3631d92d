import { Inject, Injectable, Scope, UseGuards, ValidationPipe } from '@nestjs/common';
import { REQUEST } from '@nestjs/core';
import {
  Args,
  Field,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Query,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import { Min } from 'class-validator';
import {
  arg,
  body,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  Operation,
  signature,
} from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { inspect } from 'node:util';
import { FieldCall } from '../../src/transports/graphql/fields.js';
import type { FieldInfo } from '../../src/transports/graphql/schema-place.js';
import { bootGraphql, type GraphqlApp, SignIn } from './support/graphql-app.js';

let runs: string[];
let gate: Gate | undefined;
beforeEach(() => {
  runs = [];
  gate = undefined;
});

@InputType()
class OrderInput {
  @Field()
  orderNo!: string;

  @Field(() => Int)
  @Min(1)
  amount!: number;
}

@ObjectType()
class Receipt {
  @Field(() => Int)
  amount!: number;

  @Field()
  text!: string;
}

@Resolver()
@UseGuards(SignIn)
class Payments {
  @Idempotent()
  @Mutation(() => Receipt)
  async pay(
    @Args('amount', { type: () => Int }) amount: number,
    @Operation() op?: IdempotentOperation,
  ): Promise<Receipt> {
    runs.push(`pay ${amount}`);
    await gate?.pass();
    return { amount, text: `attempt ${op?.attempt} of ${op?.key} for ${op?.principal}` };
  }

  @Idempotent()
  @Mutation(() => String)
  async stepped(@Operation() op?: IdempotentOperation): Promise<string> {
    const made = await op!.step('make', () => new Map([[BigInt(runs.push('step')), new Date(5)]]));
    if (op!.attempt === 1) throw new Error('after the step');
    return inspect(made);
  }

  @Mutation(() => Int, { name: 'payBack' })
  @Idempotent({ wait: '5s' })
  async refund(@Args('amount', { type: () => Int }) amount: number): Promise<number> {
    runs.push(`refund ${amount}`);
    await gate?.pass();
    return runs.length;
  }

  @Idempotent({ key: arg('input', 'orderNo') })
  @Mutation(() => Int)
  order(@Args('input', new ValidationPipe()) input: OrderInput): number {
    return runs.push(`order ${input.orderNo} ${input.amount}`);
  }

  @Idempotent({ key: [body('input', 'orderNo'), arg('input', 'amount')], fingerprint: false })
  @Mutation(() => Int)
  byBody(@Args('input') input: OrderInput): number {
    return runs.push(`body ${input.orderNo}`);
  }

  @Idempotent({ key: signature({ exclude: ['input.amount'] }) })
  @Mutation(() => Int)
  bySignature(@Args('input') input: OrderInput): number {
    return runs.push(`signature ${input.orderNo}`);
  }

  @Idempotent({ key: arg(0) })
  async audit(text: string): Promise<void> {
    runs.push(await Promise.resolve(`audit ${text}`));
  }

  @Idempotent()
  @Query(() => Int)
  balance(): number {
    return runs.push('balance');
  }

  @Idempotent()
  @Subscription(() => Int)
  async *ticks(): AsyncGenerator<{ ticks: number }> {
    yield { ticks: await Promise.resolve(1) };
  }
}

@Resolver()
@Idempotent({ key: arg('text') })
class Notes {
  @Mutation(() => Int)
  note(@Args('text') text: string): number {
    return runs.push(`note ${text}`);
  }

  @Query(() => Int)
  notes(): number {
    return runs.push('notes');
  }
}

@Resolver()
@Injectable({ scope: Scope.REQUEST })
class Scoped {
  constructor(@Inject(REQUEST) private readonly context: { req: { method: string } }) {}

  @Idempotent()
  @Mutation(() => String)
  scoped(): string {
    runs.push('scoped');
    return this.context.req.method;
  }
}

describe('mutations of GraphQL', () => {
  let app: GraphqlApp;

  beforeAll(async () => {
    app = await bootGraphql({ providers: [Payments, Notes, Scoped] });
  });

  afterAll(() => app?.close());

  it('run once for a header, and answer every retry from the record', async () => {
    const first = await app.ask('mutation { pay(amount: 3) { amount text } }', { key: 'm-1' });
    const text = 'attempt 1 of m-1 for undefined';
    expect(first).toEqual({ data: { pay: { amount: 3, text } } });
    const again = 'mutation Again($amount: Int = 3) { mine: pay(amount: $amount) { text } }';
    expect(await app.ask(again, { key: '"m-1"' })).toEqual({ data: { mine: { text } } });
    expect(runs).toEqual(['pay 3']);
  });

  it('go on after their last finished step, with what it returned', async () => {
    await app.fail('mutation { stepped }', { key: 'm-10' });
    expect(await app.ask('mutation { stepped }', { key: 'm-10' })).toEqual({
      data: { stepped: inspect(new Map([[1n, new Date(5)]])) },
    });
    expect(runs).toEqual(['step']);
  });

  it('refuse a call without a key, with what a client has to know', async () => {
    expect(await app.fail('mutation { pay(amount: 3) { text } }')).toMatchObject({
      message: expect.stringMatching(/^This operation needs an idempotency key/) as string,
      extensions: {
        code: 'IDEMPOTENCY_KEY_REQUIRED',
        type: 'urn:nestjs-idempotency:problem:key-required',
        title: 'Idempotency key required',
        status: 400,
        retryable: false,
      },
    });
    expect(runs).toEqual([]);
  });

  it('refuse a key that cannot be one', async () => {
    const { extensions } = await app.fail('mutation { pay(amount: 3) { text } }', {
      key: 'x'.repeat(256),
    });
    expect(extensions).toMatchObject({ code: 'IDEMPOTENCY_KEY_INVALID' });
  });

  it('refuse other arguments, and a duplicate of what is running', async () => {
    gate = new Gate();
    const first = app.ask('mutation { pay(amount: 1) { amount } }', { key: 'm-2' });
    await gate.reached(1);
    expect(await app.fail('mutation { pay(amount: 2) { amount } }', { key: 'm-2' })).toMatchObject({
      extensions: { code: 'IDEMPOTENCY_KEY_REUSED', status: 422, retryable: false },
    });
    expect(await app.fail('mutation { pay(amount: 1) { amount } }', { key: 'm-2' })).toMatchObject({
      extensions: { code: 'IDEMPOTENCY_KEY_IN_USE', status: 409, retryable: true, retryAfter: 1 },
    });
    gate.open();
    expect(await first).toEqual({ data: { pay: { amount: 1 } } });
    expect(runs).toEqual(['pay 1']);
  });

  it('let duplicates wait for the first reply', async () => {
    gate = new Gate();
    const asked = Array.from({ length: 6 }, () =>
      app.ask('mutation { payBack(amount: 1) }', { key: 'm-3' }),
    );
    await gate.reached(1);
    gate.open();
    for (const answer of await Promise.all(asked)) expect(answer).toEqual({ data: { payBack: 1 } });
    expect(runs).toEqual(['refund 1']);
  });

  it('are operations of their own, each field under the key of the request', async () => {
    const document = 'mutation { pay(amount: 5) { amount } payBack(amount: 5) }';
    const first = await app.ask(document, { key: 'm-4' });
    expect(first).toEqual({ data: { pay: { amount: 5 }, payBack: 2 } });
    expect(await app.ask(document, { key: 'm-4' })).toEqual(first);
    expect(runs).toEqual(['pay 5', 'refund 5']);
  });

  it('cannot be one operation twice under one header, but can by their arguments', async () => {
    const twice = 'mutation { a: payBack(amount: 6) b: payBack(amount: 7) }';
    const { errors } = await app.ask(twice, { key: 'm-5' });
    expect(errors).toMatchObject([
      { path: ['b'], extensions: { code: 'IDEMPOTENCY_KEY_REUSED', retryable: false } },
    ]);
    const orders = `mutation {
      a: order(input: { orderNo: "A", amount: 1 })
      b: order(input: { orderNo: "B", amount: 2 })
    }`;
    expect(await app.ask(orders)).toEqual({ data: { a: 2, b: 3 } });
    expect(await app.ask(orders)).toEqual({ data: { a: 2, b: 3 } });
    expect(runs).toEqual(['refund 6', 'order A 1', 'order B 2']);
  });

  it('are known by members of their arguments, or by all of them', async () => {
    const document = `mutation {
      byBody(input: { orderNo: "C", amount: 1 })
      bySignature(input: { orderNo: "C", amount: 1 })
    }`;
    const first = await app.ask(document);
    expect(first).toEqual({ data: { byBody: 1, bySignature: 2 } });
    expect(await app.ask(document)).toEqual(first);
    expect(await app.ask('mutation { bySignature(input: { amount: 9, orderNo: "C" }) }')).toEqual({
      data: { bySignature: 2 },
    });
    expect(runs).toEqual(['body C', 'signature C']);
  });

  it('leave nothing behind when a pipe refuses their arguments', async () => {
    const refused = await app.fail('mutation { order(input: { orderNo: "D", amount: 0 }) }');
    expect(refused.extensions).toMatchObject({ code: 'BAD_REQUEST' });
    expect(await app.ask('mutation { order(input: { orderNo: "D", amount: 1 }) }')).toEqual({
      data: { order: 1 },
    });
  });

  it('keep callers apart whom a guard has recognized', async () => {
    const document = 'mutation { pay(amount: 8) { text } }';
    for (const user of ['alice', 'bob', 'alice'])
      expect(await app.ask(document, { key: 'm-6', user })).toEqual({
        data: { pay: { text: `attempt 1 of m-6 for ${user}` } },
      });
    expect(runs).toEqual(['pay 8', 'pay 8']);
  });

  it('are found by the name of their field', async () => {
    await app.ask('mutation { back: payBack(amount: 9) }', { key: 'm-7' });
    const idempotency = app.app.get(IdempotencyService);
    expect(await idempotency.find({ scope: 'Mutation.payBack', key: 'm-7' })).toMatchObject({
      state: 'completed',
    });
  });

  it('are covered by a decorator on their class, queries are not', async () => {
    for (let time = 0; time < 2; time++) {
      expect(await app.ask('mutation { note(text: "x") }')).toEqual({ data: { note: 1 } });
      await app.ask('query { notes }');
    }
    expect(runs).toEqual(['note x', 'notes', 'notes']);
  });

  it('run once in a resolver that is made for each request', async () => {
    for (let time = 0; time < 2; time++)
      expect(await app.ask('mutation { scoped }', { key: 'm-8' })).toEqual({
        data: { scoped: 'POST' },
      });
    expect(runs).toEqual(['scoped']);
  });

  it('do not run when code calls the resolver, whose other methods protect themselves', async () => {
    const payments = app.app.get(Payments);
    expect(() => payments.pay(4)).toThrow(/Payments\.pay.+was called directly/);
    await payments.audit('once');
    await payments.audit('once');
    expect(runs).toEqual(['audit once']);
  });

  it('are all that is protected: queries and subscriptions are told apart at boot', async () => {
    await app.ask('query { balance }', { key: 'm-9' });
    expect(await app.ask('query { balance }', { key: 'm-9' })).toEqual({ data: { balance: 2 } });
    for (const [field, kind] of Object.entries({ balance: 'Query', ticks: 'Subscription' }))
      expect(app.complaints).toContainEqual(
        expect.stringContaining(`Payments.${field} has no effect: a ${kind}`),
      );
  });
});

/** Only values are looked up in the schema. */
const NO_INFO = {} as FieldInfo;

describe('the request of a mutation', () => {
  const headers = { 'idempotency-key': 'k', 'content-type': 'application/json' };
  const args = { orderNo: 'A' };

  it.each([
    ['Apollo, and what Nest makes of others', { req: { headers, tenant: 't' } }],
    ['Mercurius', { app: {}, reply: { request: { headers, tenant: 't' } } }],
    ['Yoga, and drivers with the request itself', { request: { headers, tenant: 't' } }],
  ])('is found in the context of %s', (_, context) => {
    const { request } = new FieldCall('Mutation.pay', args, context, NO_INFO);
    expect(request.headers).toEqual({ 'idempotency-key': 'k' });
    expect(request['tenant']).toBe('t');
    expect(request.body).toBe(args);
    expect(request['context']).toBe(context);
  });

  it.each([
    ['on the request', { req: { headers, user: { id: 1 } }, user: { id: 2 } }, 1],
    ['on the context', { req: { headers }, user: { id: 2 } }, 2],
  ])('has the user whom guards have put %s', (_, context, id) => {
    expect(new FieldCall('Mutation.pay', args, context, NO_INFO).request.user).toEqual({ id });
  });

  it.each([
    ['a web socket', { req: { extra: {} } }],
    ['code', undefined],
  ])('has no headers where there are none: %s', (_, context) => {
    expect(new FieldCall('Mutation.pay', args, context, NO_INFO).request.headers).toEqual({});
  });

  it('says nothing of how the document was sent', () => {
    const sent = { headers, method: 'POST', url: '/graphql?v=1', query: { v: '1' }, params: {} };
    expect(new FieldCall('Mutation.pay', args, { req: sent }, NO_INFO).request).toMatchObject({
      method: undefined,
      url: undefined,
      query: undefined,
      params: undefined,
    });
  });
});
