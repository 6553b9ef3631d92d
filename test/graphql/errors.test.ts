import {
  ConflictException,
  HttpException,
  NotFoundException,
  UnprocessableEntityException,
} from '@nestjs/common';
import { UserInputError } from '@nestjs/apollo';
import { Args, Mutation, Resolver } from '@nestjs/graphql';
import { GraphQLError } from 'graphql';
import { IdempotencyException, Idempotent, MemoryStore } from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore } from 'nestjs-idempotency/testing';
import { bootGraphql, type GraphqlApp, type ShownError } from './support/graphql-app.js';

const ERRORS = {
  'not-found': () => new NotFoundException('no such order'),
  'own-answer': () => new UnprocessableEntityException({ reason: 'no money', left: 3 }),
  text: () => new HttpException('gone for good', 410),
  extended: () =>
    Object.assign(new NotFoundException('no such order'), { extensions: { shelf: 'B' } }),
  'with-status': () =>
    new GraphQLError('no money', { extensions: { code: 'NO_MONEY', http: { status: 422 } } }),
  refused: () => new IdempotencyException('IDEMPOTENCY_KEY_REUSED'),
  conflict: () => new ConflictException('locked'),
  plain: () => new Error('broken'),
  'without-status': () => new GraphQLError('no money', { extensions: { code: 'NO_MONEY' } }),
  'user-input': () => new UserInputError('no such unit'),
  'passing-status': () => new GraphQLError('wait', { extensions: { http: { status: 429 } } }),
} as const satisfies Record<string, () => Error>;

type Kind = keyof typeof ERRORS;

const RESULTS: readonly Kind[] = [
  'not-found',
  'own-answer',
  'text',
  'extended',
  'with-status',
  'refused',
];
const FAILURES: readonly Kind[] = [
  'conflict',
  'plain',
  'without-status',
  'user-input',
  'passing-status',
];

let runs: string[];
let seen: unknown[];
beforeEach(() => {
  runs = [];
  seen = [];
});

@Resolver()
class Failing {
  @Idempotent()
  @Mutation(() => Boolean)
  fail(@Args('kind', { type: () => String }) kind: Kind): boolean {
    runs.push(kind);
    throw ERRORS[kind]();
  }

  @Idempotent({
    onError: (_error, status, byDefault) => {
      seen.push([status, byDefault]);
      return 'store';
    },
  })
  @Mutation(() => Boolean)
  failForGood(@Args('kind', { type: () => String }) kind: Kind): boolean {
    return this.fail(kind);
  }
}

describe('a mutation that fails', () => {
  let app: GraphqlApp;
  const store = new FaultInjectingStore(new MemoryStore());

  beforeAll(async () => {
    app = await bootGraphql({ providers: [Failing], idempotency: { store } });
  });

  afterAll(() => app?.close());

  const asked = (field: string, kind: Kind): Promise<ShownError> =>
    app.fail(`mutation { ${field}(kind: "${kind}") }`, { key: `${field}-${kind}` });

  it.each(RESULTS)('replays an error that is the result: %s', async (kind) => {
    const first = await asked('fail', kind);
    expect(await asked('fail', kind)).toEqual(first);
    expect(runs).toEqual([kind]);
  });

  it.each(FAILURES)('runs again after an error that is none: %s', async (kind) => {
    const first = await asked('fail', kind);
    expect(await asked('fail', kind)).toEqual(first);
    expect(runs).toEqual([kind, kind]);
  });

  it.each([...RESULTS, ...FAILURES])('keeps the error where onError says so: %s', async (kind) => {
    const first = await asked('failForGood', kind);
    expect(await asked('failForGood', kind)).toEqual(first);
    expect(runs).toEqual([kind]);
    const byDefault = RESULTS.includes(kind) ? 'store' : 'release';
    expect(seen).toEqual([[expect.any(Number), byDefault]]);
  });

  it('tells onError the status that a GraphQLError has', async () => {
    await app.fail('mutation { failForGood(kind: "passing-status") }', { key: 'e-1' });
    expect(seen).toEqual([[429, 'release']]);
  });

  it('shows no more of a refusal than the application shows of errors', async () => {
    const { message, extensions } = await app.fail('mutation { fail(kind: "plain") }');
    expect(Object.keys(extensions).sort()).toEqual([
      'code',
      'retryable',
      'status',
      'title',
      'type',
    ]);
    expect(message).toMatch(/^This operation needs/);
  });

  it('says when to come again while the store is down', async () => {
    store.next('acquire', failBefore());
    expect(await asked('fail', 'plain')).toMatchObject({
      extensions: {
        code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
        status: 503,
        retryable: true,
        retryAfter: 1,
      },
    });
    expect(runs).toEqual([]);
  });
});
