import type { DynamicModule } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  createUnionType,
  Field,
  GraphQLModule,
  Int,
  Mutation,
  ObjectType,
  Query,
  registerEnumType,
  Resolver,
} from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import { ObjectId } from 'bson';
import { Exclude } from 'class-transformer';
import { Decimal } from 'decimal.js';
import { GraphQLScalarType } from 'graphql';
import { DateTime } from 'luxon';
import { Idempotent, IdempotencyService } from 'nestjs-idempotency';
import { boot, type TestApp } from '../support/http.js';
import { SeenStore } from './in-process.js';
import { SECRET } from './kinds.js';

/** Accepts its own result, and reads something else. */
const Text = new GraphQLScalarType({ name: 'Text', serialize: String, parseValue: String });
const Amount = new GraphQLScalarType({
  name: 'Amount',
  serialize: String,
  parseValue: (text) => new Decimal(String(text)),
});
/** Reads its result. */
const Id = new GraphQLScalarType<ObjectId, string>({
  name: 'Id',
  serialize: (id) => (id as ObjectId).toHexString(),
  parseValue: (hex) => new ObjectId(String(hex)),
});
/** Only writes. */
const Moment = new GraphQLScalarType({
  name: 'Moment',
  serialize: (at) => (at as DateTime).toISO(),
});
const Json = new GraphQLScalarType({ name: 'Json', serialize: (value) => value });
const PAID = Symbol('paid');
/** Whose members are no text. */
const Status = { PAID };
registerEnumType(Status, { name: 'Status' });

@ObjectType()
class Receipt {
  @Field(() => Amount)
  total = new Decimal('1.10');

  @Field(() => [Id])
  ids = [new ObjectId('65f0c0ffee0000000000abcd')];

  @Field(() => Status)
  status = PAID;

  @Field(() => Date)
  at = new Date(0);

  @Field(() => Json)
  meta = { size: 3 };

  @Field()
  get text(): string {
    return `receipt of ${this.total.toFixed()}`;
  }
}

@ObjectType()
class Priced {
  @Field(() => Text)
  total = new Decimal(1);

  @Field()
  get text(): string {
    return this.total.toFixed(2);
  }
}

@ObjectType()
class Sealed {
  #no = 'A-1';

  @Field()
  get no(): string {
    return this.#no;
  }
}

@ObjectType()
class User {
  @Field(() => Int)
  id = 7;

  @Exclude()
  hash = SECRET;
}

@ObjectType()
class Named {
  @Field()
  no!: string;
}

class Model {
  no(): string {
    return 'from a method';
  }
}

const Either = createUnionType({
  name: 'Either',
  types: () => [Named, User] as const,
  resolveType: (value: unknown) => (value instanceof Model ? Named : User),
});

class Secretive extends Error {
  #balance = 3;

  balance(): number {
    return this.#balance;
  }
}

let runs: string[];

@Resolver()
class Values {
  @Query(() => Boolean)
  isUp(): boolean {
    return true;
  }

  @Idempotent()
  @Mutation(() => [Receipt])
  receipts(): Receipt[] {
    runs.push('receipts');
    return [new Receipt()];
  }

  @Idempotent()
  @Mutation(() => Id)
  id(): ObjectId {
    runs.push('id');
    return new ObjectId('65f0c0ffee0000000000abcd');
  }

  @Idempotent()
  @Mutation(() => Moment)
  moment(): DateTime {
    runs.push('moment');
    return DateTime.fromMillis(0, { zone: 'utc' });
  }

  @Idempotent()
  @Mutation(() => Sealed)
  sealed(): Sealed {
    runs.push('sealed');
    return new Sealed();
  }

  @Idempotent()
  @Mutation(() => User)
  user(): User {
    runs.push('user');
    return new User();
  }

  @Idempotent()
  @Mutation(() => Priced)
  priced(): Priced {
    runs.push('priced');
    return new Priced();
  }

  @Idempotent()
  @Mutation(() => [Json])
  json(): unknown[] {
    runs.push('json');
    return [{ price: new Decimal(2), next: new URL('https://a.example') }];
  }

  @Idempotent()
  @Mutation(() => Text)
  text(): Decimal {
    runs.push('text');
    return new Decimal('1.5');
  }

  /** GraphQL takes a returned error for one that was thrown. */
  @Idempotent()
  @Mutation(() => Json, { nullable: true })
  failed(): Error {
    runs.push('failed');
    return new Secretive();
  }

  @Idempotent()
  @Mutation(() => Either)
  either(): object {
    runs.push('either');
    return new Model();
  }

  @Idempotent()
  @Mutation(() => [Int])
  later(): unknown {
    runs.push('later');
    return [Promise.resolve(1)];
  }
}

export const DRIVERS = ['Apollo', 'Mercurius'] as const;

const SELECTIONS: Readonly<Record<string, string>> = {
  receipts: '{ total ids status at meta text }',
  id: '',
  json: '',
  text: '',
};

export type Driver = (typeof DRIVERS)[number];

/** GraphQL on a driver, with a schema made of the classes. */
export function graphqlModule(driver: Driver): DynamicModule {
  return driver === 'Apollo'
    ? GraphQLModule.forRoot<ApolloDriverConfig>({
        driver: ApolloDriver,
        autoSchemaFile: true,
        graphiql: false,
      })
    : GraphQLModule.forRoot<MercuriusDriverConfig>({
        driver: MercuriusDriver,
        autoSchemaFile: true,
      });
}

/** What clients get of values on a driver of GraphQL. */
export function describeGraphql(driver: Driver): void {
  let app: TestApp;
  const store = new SeenStore();

  beforeAll(async () => {
    app = await boot(driver === 'Apollo' ? 'express' : 'fastify', {
      controllers: [],
      imports: [graphqlModule(driver)],
      providers: [Values],
      idempotency: { store },
    });
  });

  beforeEach(() => {
    runs = [];
  });

  afterAll(() => app?.close());

  const ask = async (field: string, selection = SELECTIONS[field] ?? ''): Promise<unknown> =>
    (
      await app.send('/graphql', {
        key: field,
        body: { query: `mutation { ${field} ${selection} }` },
      })
    ).json();

  it.each(Object.keys(SELECTIONS))('an equal value: %s', async (field) => {
    const first = await ask(field);
    expect(first).not.toHaveProperty('errors');
    expect(await ask(field)).toEqual(first);
    expect(runs).toEqual([field]);
  });

  it.each([
    ['moment', '', 'value is a DateTime object'],
    ['sealed', '{ no }', 'value is a Sealed object, which has private state'],
    ['user', '{ id }', 'value is an User object, which has decorators of class-transformer'],
    ['priced', '{ total text }', 'value.total is a Decimal object, which'],
    ['either', '{ __typename }', 'which tells by its class which member'],
    ['later', '', 'value[] is a Promise object'],
    ['failed', '', 'value is a Secretive object, which has private state'],
  ])('a refusal, and one warning: %s', async (field, selection, warning) => {
    app.complaints.splice(0);
    const first = await ask(field, selection);
    expect('errors' in (first as object)).toBe(field === 'failed');
    const { errors } = (await ask(field, selection)) as { errors: unknown };
    expect(errors).toEqual([
      expect.objectContaining({
        extensions: expect.objectContaining({ code: 'IDEMPOTENCY_REPLY_NOT_KEPT' }),
      }),
    ]);
    expect(app.complaints.filter((one) => one.includes('not kept'))).toEqual([
      expect.stringContaining(warning),
    ]);
    expect(runs).toEqual([field]);
    const view = await app.app
      .get(IdempotencyService)
      .find({ scope: `Mutation.${field}`, key: field });
    expect(view).toMatchObject({ state: 'completed' });
    expect(store.contains(SECRET)).toBe(false);
  });
}
