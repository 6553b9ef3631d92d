import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Injectable,
  type INestApplication,
  Param,
  Post,
  Query,
  Req,
  type Type,
  UnauthorizedException,
  UseInterceptors,
} from '@nestjs/common';
import { FileInterceptor } from '@nestjs/platform-express';
import multipart from '@fastify/multipart';
import type { FastifyInstance } from 'fastify';
import {
  body,
  header,
  type IdempotencyEvent,
  type IdempotencyModuleOptions,
  IdempotencyService,
  Idempotent,
  type IdempotentCall,
  type IdempotentOperation,
  MemoryStore,
  Operation,
  param,
  principal,
  query,
  signature,
} from 'nestjs-idempotency';
import { FaultInjectingStore, ManualClock } from 'nestjs-idempotency/testing';
import { inspect } from 'node:util';
import {
  boot,
  expectProblem,
  expectReplay,
  type Platform,
  PLATFORMS,
  type Reply,
  type RequestOptions,
  type TestApp,
} from '../support/http.js';

let runs = 0;

/** Signs in by headers; without them the caller is anonymous. */
@Injectable()
class SignIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context
      .switchToHttp()
      .getRequest<{ headers: Record<string, string | undefined>; user?: object }>();
    const { 'x-id': id, 'x-sub': sub } = request.headers;
    if (id !== undefined || sub !== undefined) request.user = { id, sub };
    return true;
  }
}

const seen = (operation: IdempotentOperation): unknown => {
  runs += 1;
  return { run: runs, key: operation.key, principal: operation.principal ?? null };
};

interface OrderDto {
  orderNo: string | number;
  customer: { id: string };
}

@Controller()
class Payments {
  @Idempotent()
  @Post('payments')
  pay(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ fingerprint: false })
  @Post('no-fingerprint')
  noFingerprint(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ fingerprint: ({ request }) => (request.body as { amount: number }).amount })
  @Post('own-fingerprint')
  ownFingerprint(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ fingerprint: async ({ request }) => Promise.resolve({ query: request.query }) })
  @Post('late-fingerprint')
  lateFingerprint(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ fingerprint: () => undefined })
  @Post('empty-fingerprint')
  emptyFingerprint(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent()
  @Post('goods/:id')
  goods(@Param('id') id: string, @Query() given: unknown): unknown {
    return { run: ++runs, id, given };
  }

  @Idempotent()
  @Post('mutating')
  mutating(@Body() given: { amount: number }): unknown {
    given.amount += 1;
    return { run: ++runs, given };
  }
}

@Controller('key')
class Keys {
  @Idempotent({ key: header('X-Request') })
  @Post('header')
  byHeader(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: body<OrderDto>('orderNo') })
  @Post('body')
  byBody(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: body<OrderDto>('orderNo'), fingerprint: false })
  @Post('body-alone')
  byBodyAlone(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: body<OrderDto>('customer', 'id') })
  @Post('nested')
  byNestedBody(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: param('id') })
  @Post('param/:id')
  byParam(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: query('no') })
  @Post('query')
  byQuery(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: [principal(), param('id')], onDuplicate: 'reject' })
  @Post('principal/:id')
  byPrincipal(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: ({ request }) => request.headers['x-a'] as string | undefined })
  @Post('function')
  byFunction(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({
    key: async ({ request }) => Promise.resolve(request.headers['x-a'] as string | undefined),
  })
  @Post('late')
  byLateFunction(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({
    key: () => {
      throw new UnauthorizedException();
    },
  })
  @Post('failing')
  byFailingFunction(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: [header('X-A'), body('serialNo')], fingerprint: false })
  @Post('composite')
  byParts(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }
}

@Controller('signature')
class Signatures {
  @Idempotent({ key: signature(), ttl: '10s' })
  @Post('all')
  all(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: signature({ include: ['text', 'author.id'] }) })
  @Post('include')
  include(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }

  @Idempotent({ key: signature({ exclude: ['sentAt'] }) })
  @Post('exclude')
  exclude(@Operation() operation: IdempotentOperation): unknown {
    return seen(operation);
  }
}

describe.each(PLATFORMS)('who is calling, with what, on %s', (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let clock: ManualClock;
  let events: IdempotencyEvent[];

  beforeAll(async () => {
    clock = new ManualClock();
    store = new FaultInjectingStore(new MemoryStore({ clock }));
    test = await boot(platform, {
      controllers: [Payments, Keys, Signatures],
      clock,
      idempotency: { store },
      configure: (app) => app.useGlobalGuards(new SignIn()),
    });
    test.app.get(IdempotencyService).events$.subscribe((event) => events.push(event));
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = 0;
    events = [];
    store.calls.length = 0;
  });

  let lastKey = 0;
  /** A key that no other test has used. */
  const newKey = () => `key-${++lastKey}`;
  const send = (path: string, options: RequestOptions = {}) =>
    test.send(path, { body: { amount: 1 }, ...options });

  /** Asserts that the second reply is not the first one's. */
  const expectOwnRun = (first: Reply, second: Reply) => {
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.headers).not.toHaveProperty('idempotent-replayed');
    expect(second.text).not.toBe(first.text);
  };

  describe('the principal', () => {
    it('has records of its own: the same key of another user runs', async () => {
      const key = newKey();
      const alice = await send('/payments', { key, headers: { 'x-id': 'alice' } });
      const bob = await send('/payments', { key, headers: { 'x-id': 'bob' } });
      const nobody = await send('/payments', { key });
      expectOwnRun(alice, bob);
      expectOwnRun(alice, nobody);
      expect(runs).toBe(3);
      expectReplay(alice, await send('/payments', { key, headers: { 'x-id': 'alice' } }));
      expectReplay(bob, await send('/payments', { key, headers: { 'x-id': 'bob' } }));
      expectReplay(nobody, await send('/payments', { key }));
      expect(runs).toBe(3);
    });

    it('cannot be written into a key', async () => {
      const key = newKey();
      const alice = await send('/payments', { key, headers: { 'x-id': 'alice' } });
      for (const headers of [{ 'x-id': 'alice:' }, { 'x-id': 'a' }, undefined])
        for (const guess of [`alice${key}`, `alice:${key}`, `lice${key}`, `lice:${key}`])
          expectOwnRun(alice, await send('/payments', { key: guess, headers }));
    });

    it('is user.id, else user.sub', async () => {
      const principalOf = async (headers: Record<string, string>) =>
        (await send('/payments', { key: newKey(), headers })).json() as { principal: unknown };
      expect(await principalOf({ 'x-id': 'a', 'x-sub': 'b' })).toMatchObject({ principal: 'a' });
      expect(await principalOf({ 'x-sub': 'b' })).toMatchObject({ principal: 'b' });
      expect(await principalOf({})).toMatchObject({ principal: null });
    });

    it('may change credentials: whoever is known is known by name', async () => {
      const key = newKey();
      const headers = (token: string) => ({ 'x-id': 'alice', authorization: `Bearer ${token}` });
      const first = await send('/payments', { key, headers: headers('old') });
      expectReplay(first, await send('/payments', { key, headers: headers('new') }));
    });
  });

  describe('an anonymous caller with credentials', () => {
    const PATHS = ['/payments', '/no-fingerprint', '/own-fingerprint', '/late-fingerprint'];
    const kinds = [
      ['authorization', 'Bearer alice', 'Bearer mallory'],
      ['cookie', 'session=alice', 'session=mallory'],
    ] as const;

    it.each(PATHS.flatMap((path) => kinds.map((kind) => [path, ...kind] as const)))(
      'keeps its reply to itself: %s, %s',
      async (path, name, own, foreign) => {
        const key = newKey();
        const first = await send(path, { key, headers: { [name]: own } });
        expect(first.status).toBe(201);
        for (const headers of [{ [name]: foreign }, {}]) {
          const guess = await send(path, { key, headers });
          expectProblem(guess, 422, 'IDEMPOTENCY_KEY_REUSED');
          expect(guess.text).not.toContain('run');
        }
        expectReplay(first, await send(path, { key, headers: { [name]: own } }));
        expect(runs).toBe(1);
      },
    );

    it.each(PATHS)('gets nothing of a caller without any: %s', async (path) => {
      const key = newKey();
      const first = await send(path, { key });
      const guess = await send(path, { key, headers: { cookie: 'session=mallory' } });
      expectProblem(guess, 422, 'IDEMPOTENCY_KEY_REUSED');
      expectReplay(first, await send(path, { key }));
      expect(runs).toBe(1);
    });

    it.each(['/signature/all', '/signature/exclude'])(
      'runs for the same content of another caller: %s',
      async (path) => {
        const text = newKey();
        const comment = (token: string) =>
          send(path, { body: { text }, headers: { authorization: token } });
        const first = await comment('Bearer alice');
        expectOwnRun(first, await comment('Bearer mallory'));
        expectReplay(first, await comment('Bearer alice'));
      },
    );
  });

  describe('the content', () => {
    const expectCompared = async (
      path: string,
      first: RequestOptions,
      same: RequestOptions,
      other: RequestOptions,
    ) => {
      const key = newKey();
      const reply = await send(path, { key, ...first });
      expectReplay(reply, await send(path, { key, ...same }));
      expectProblem(await send(path, { key, ...other }), 422, 'IDEMPOTENCY_KEY_REUSED');
      expect(runs).toBe(1);
    };
    const json = (text: string): RequestOptions => ({
      body: text,
      headers: { 'content-type': 'application/json' },
    });

    it('of a body is the same in any order of members', () =>
      expectCompared(
        '/payments',
        json('{"a":1,"b":{"c":[1,2],"d":null}}'),
        json(' { "b" : {"d":null, "c":[1, 2]}, "a":1 }'),
        json('{"a":1,"b":{"c":[2,1],"d":null}}'),
      ));

    it('of a body is the same in any form of numbers and text', () =>
      expectCompared(
        '/payments',
        json('{"amount":100,"name":"\\u00e9"}'),
        json('{"amount":1.0e2,"name":"\u00e9"}'),
        json('{"amount":100.5,"name":"\u00e9"}'),
      ));

    it('tells a number from its digits, and null from nothing', async () => {
      await expectCompared('/payments', json('{"a":1}'), json('{"a":1.0}'), json('{"a":"1"}'));
      runs = 0;
      await expectCompared('/payments', json('{"a":null}'), json('{"a":null}'), json('{}'));
    });

    it('is what was sent, whatever the handler makes of it', () =>
      expectCompared(
        '/mutating',
        { body: { amount: 1 } },
        { body: { amount: 1 } },
        { body: { amount: 2 } },
      ));

    it.each([
      ['in another order', '?a=1&b=2', '?b=2&a=1', true],
      ['in another encoding', '?a=x%20y', '?a=x+y', true],
      ['with another value', '?amount=1', '?amount=1000', false],
      ['with one more name', '?a=1', '?a=1&b=2', false],
      ['with repeated values in another order', '?a=1&a=2', '?a=2&a=1', false],
      ['with one value for two', '?a=1&a=2', '?a=2', false],
      ['without it', '?a=1', '', false],
    ])('of a query %s', async (_name, first, second, isSame) => {
      const key = newKey();
      const reply = await send(`/goods/1${first}`, { key });
      const retry = await send(`/goods/1${second}`, { key });
      if (isSame) expectReplay(reply, retry);
      else expectProblem(retry, 422, 'IDEMPOTENCY_KEY_REUSED');
      expect(runs).toBe(1);
    });

    it('of the parameters of a route counts', async () => {
      const key = newKey();
      const first = await send('/goods/1', { key });
      expectProblem(await send('/goods/2', { key }), 422, 'IDEMPOTENCY_KEY_REUSED');
      expectReplay(first, await send('/goods/1', { key }));
    });

    it('is what a function says, at once or later', async () => {
      await expectCompared(
        '/own-fingerprint',
        { body: { amount: 1, at: 1 } },
        { body: { amount: 1, at: 2 } },
        { body: { amount: 2, at: 1 } },
      );
      const key = newKey();
      const first = await send('/late-fingerprint?a=1', { key, body: { a: 1 } });
      expectReplay(first, await send('/late-fingerprint?a=1', { key, body: { a: 2 } }));
      expectProblem(
        await send('/late-fingerprint?a=2', { key, body: { a: 1 } }),
        422,
        'IDEMPOTENCY_KEY_REUSED',
      );
    });

    it('does not count with `fingerprint: false`', async () => {
      const key = newKey();
      const first = await send('/no-fingerprint?a=1', { key });
      expectReplay(first, await send('/no-fingerprint?a=2', { key, body: { amount: 2 } }));
    });

    it('is not guessed where a function has no answer', async () => {
      const reply = await send('/empty-fingerprint', { key: newKey() });
      expect(reply.status).toBe(500);
      expect(test.complaints.join()).toContain('option "fingerprint" is undefined');
      expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    });
  });

  describe('the key', () => {
    const keyOf = async (reply: Promise<Reply>) => ((await reply).json() as { key: unknown }).key;

    it.each<[string, string, RequestOptions, RequestOptions, string]>([
      ['a header', 'header', { headers: { 'x-request': 'h1' } }, {}, 'h1'],
      ['the body', 'body', { body: { orderNo: 'b1' } }, { body: {} }, 'b1'],
      [
        'deep in the body',
        'nested',
        { body: { customer: { id: 'n1' } } },
        { body: { customer: 'n1' } },
        'n1',
      ],
      ['a function', 'function', { headers: { 'x-a': 'f1' } }, {}, 'f1'],
      ['a function that takes its time', 'late', { headers: { 'x-a': 'l1' } }, {}, 'l1'],
    ])('is found in %s', async (_name, path, given, missing, key) => {
      const first = await send(`/key/${path}`, given);
      expect(first.json()).toMatchObject({ run: 1, key });
      expectReplay(first, await send(`/key/${path}`, given));
      expectProblem(await send(`/key/${path}`, missing), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      // The header of the module is no key here.
      expectProblem(
        await send(`/key/${path}`, { ...missing, key: 'k' }),
        400,
        'IDEMPOTENCY_KEY_REQUIRED',
      );
      expect(runs).toBe(1);
    });

    it('is found in the parameters of the route, decoded', async () => {
      expect(await keyOf(send('/key/param/a%20b'))).toBe('a b');
      expect(await keyOf(send('/key/param/p1'))).toBe('p1');
      expect(runs).toBe(2);
      await send('/key/param/p1');
      expect(runs).toBe(2);
    });

    it('is found in the query, where it must be there once', async () => {
      expect(await keyOf(send('/key/query?no=q1'))).toBe('q1');
      expectProblem(await send('/key/query'), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      for (const twice of ['?no=q2&no=q3', '?no='])
        expectProblem(await send(`/key/query${twice}`), 400, 'IDEMPOTENCY_KEY_INVALID');
      expect(runs).toBe(1);
    });

    it('is the caller and a target: everybody once, and nobody unknown', async () => {
      const vote = (id: string, headers: Record<string, string>) =>
        send(`/key/principal/${id}`, { headers });
      expect((await vote('1', { 'x-id': 'alice' })).status).toBe(201);
      expect((await vote('1', { 'x-id': 'bob' })).status).toBe(201);
      expect((await vote('2', { 'x-id': 'alice' })).status).toBe(201);
      expectProblem(await vote('1', { 'x-id': 'alice' }), 409, 'IDEMPOTENCY_DUPLICATE');
      expectProblem(await vote('1', {}), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expect(runs).toBe(3);
    });

    it('fails as its function does', async () => {
      expect((await send('/key/failing')).status).toBe(401);
      expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    });

    it('is the same as a number and as text; the content is not', async () => {
      const first = await send('/key/body-alone', { body: { orderNo: 7 } });
      expectReplay(first, await send('/key/body-alone', { body: { orderNo: '7' } }));
      expect((await send('/key/body', { body: { orderNo: 7 } })).status).toBe(201);
      expectProblem(
        await send('/key/body', { body: { orderNo: '7' } }),
        422,
        'IDEMPOTENCY_KEY_REUSED',
      );
      expect(runs).toBe(2);
    });

    it('needs all of its parts, and keeps them apart', async () => {
      const parts = (a: string | undefined, serialNo: unknown) =>
        send('/key/composite', {
          headers: a === undefined ? {} : { 'x-a': a },
          body: { serialNo },
        });
      const first = await parts('a', 'bc');
      expectOwnRun(first, await parts('ab', 'c'));
      expectReplay(first, await parts('a', 'bc'));
      expectProblem(await parts(undefined, 'bc'), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expectProblem(await parts('a', undefined), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expectProblem(await parts('a', null), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expectProblem(await parts('a', ''), 400, 'IDEMPOTENCY_KEY_INVALID');
      expect(runs).toBe(2);
    });

    const SECRET = 'secret-4711';
    it.each<[string, string, RequestOptions]>([
      ['an object', 'body', { body: { orderNo: { value: SECRET } } }],
      ['a list', 'body', { body: { orderNo: [SECRET] } }],
      ['an object in a part', 'composite', { headers: { 'x-a': 'a' }, body: { serialNo: {} } }],
      ['control characters', 'body', { body: { orderNo: `${SECRET}\u0000` } }],
      ['too long', 'body', { body: { orderNo: SECRET.repeat(100) } }],
      ['lone surrogates', 'body', { body: `{"orderNo":"${SECRET}\\ud800"}` }],
      ['malformed', 'header', { headers: { 'x-request': `"${SECRET}` } }],
    ])('is refused and never shown when it is %s', async (_name, path, options) => {
      const headers = { 'content-type': 'application/json', ...options.headers };
      const reply = await send(`/key/${path}`, { ...options, headers });
      expectProblem(reply, 400, 'IDEMPOTENCY_KEY_INVALID');
      expect(reply.text).not.toContain(SECRET);
      expect(events).toMatchObject([{ type: 'rejected', code: 'IDEMPOTENCY_KEY_INVALID' }]);
      expect(inspect(events, { depth: 9 })).not.toContain(SECRET);
      expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    });

    it('never reaches the store, the events or the log of a call that runs', async () => {
      await send('/payments', { key: SECRET, body: { text: SECRET } });
      await send('/payments', { key: SECRET, body: { text: SECRET } });
      await send('/payments', { key: SECRET });
      expect(events.map(({ type }) => type)).toEqual([
        'claimed',
        'executed',
        'stored',
        'replayed',
        'rejected',
      ]);
      expect(inspect(events, { depth: 9 })).not.toContain(SECRET);
      expect(inspect(store.calls, { depth: 9 })).not.toContain(SECRET);
      expect(test.complaints.join()).not.toContain(SECRET);
    });
  });

  describe('the signature', () => {
    const comment = (path: string, given: unknown, headers: Record<string, string> = {}) =>
      send(`/signature/${path}`, { body: given, headers });

    it('is the same in any order of members, and another one for other content', async () => {
      const text = newKey();
      const first = await comment('all', { text, tags: [1, 2] });
      expectReplay(first, await comment('all', { tags: [1, 2], text }));
      expectOwnRun(first, await comment('all', { text, tags: [2, 1] }));
      expectOwnRun(first, await comment('all?a=1', { text, tags: [1, 2] }));
      expect(runs).toBe(3);
    });

    it('is another one for another user', async () => {
      const text = newKey();
      const first = await comment('all', { text }, { 'x-id': 'alice' });
      expectOwnRun(first, await comment('all', { text }, { 'x-id': 'bob' }));
      expectReplay(first, await comment('all', { text }, { 'x-id': 'alice' }));
    });

    it('is of the members that are included', async () => {
      const text = newKey();
      const first = await comment('include', { text, author: { id: 1, name: 'a' }, at: 1 });
      expectReplay(first, await comment('include', { at: 2, author: { name: 'b', id: 1 }, text }));
      expectOwnRun(first, await comment('include', { text, author: { id: 2 } }));
    });

    it('is without the members that are excluded', async () => {
      const text = newKey();
      const first = await comment('exclude', { text, sentAt: 1 });
      expectReplay(first, await comment('exclude', { text, sentAt: 2 }));
      expectReplay(first, await comment('exclude', { text }));
      expectOwnRun(first, await comment('exclude', { text, sentBy: 1 }));
    });

    it('runs again when the window has passed', async () => {
      const text = newKey();
      const first = await comment('all', { text });
      await clock.advance(9_999);
      expectReplay(first, await comment('all', { text }));
      await clock.advance(1);
      expectOwnRun(first, await comment('all', { text }));
    });
  });
});

describe.each(PLATFORMS)('the principal option on %s', (platform) => {
  let test: TestApp;
  afterEach(() => test.close());
  beforeEach(() => {
    runs = 0;
  });

  const start = async (
    ofModule: IdempotencyModuleOptions['principal'],
    ofHandler?: IdempotencyModuleOptions['principal'],
  ) => {
    @Controller()
    class Tenants {
      @Idempotent({ principal: ofHandler })
      @Post()
      pay(@Operation() operation: IdempotentOperation): unknown {
        return seen(operation);
      }
    }
    test = await boot(platform, {
      controllers: [Tenants],
      idempotency: { principal: ofModule },
    });
    return (tenant?: string) =>
      test.send('/', { key: 'k', headers: tenant === undefined ? {} : { 'x-tenant': tenant } });
  };
  const tenantOf = ({ request }: IdempotentCall) =>
    request.headers['x-tenant'] as string | undefined;

  it.each<[string, IdempotencyModuleOptions['principal']]>([
    ['at once', tenantOf],
    ['later', async (call) => Promise.resolve(tenantOf(call))],
  ])('names the caller %s', async (_name, option) => {
    const send = await start(option);
    const a = await send('a');
    expect(a.json()).toMatchObject({ run: 1, principal: 'a' });
    expect((await send('b')).json()).toMatchObject({ run: 2, principal: 'b' });
    expect((await send()).json()).toMatchObject({ run: 3, principal: null });
    expectReplay(a, await send('a'));
  });

  it('of a handler takes the place of that of the module', async () => {
    const send = await start(
      () => 'module',
      () => 7n,
    );
    expect((await send()).json()).toMatchObject({ principal: '7' });
  });

  it.each<[string, () => never]>([
    [
      'throws',
      () => {
        throw new UnauthorizedException();
      },
    ],
    ['rejects', (async () => Promise.reject(new UnauthorizedException())) as () => never],
  ])('that %s ends the call as a guard would', async (_name, option) => {
    const send = await start(option);
    expect((await send()).status).toBe(401);
    expect(runs).toBe(0);
  });

  it('that fails is not shown to the client', async () => {
    const send = await start(() => {
      throw new Error('secret host name');
    });
    const reply = await send();
    expect(reply.status).toBe(500);
    expect(reply.text).not.toContain('secret');
    expect(runs).toBe(0);
  });

  it.each<[string, unknown]>([
    ['an object', { id: 'alice' }],
    ['a list', ['alice']],
    ['true', true],
    ['no number', Number.NaN],
  ])('that answers with %s makes nobody share a name', async (_name, answer) => {
    const send = await start((async () => Promise.resolve(answer)) as () => Promise<string>);
    expect((await send()).status).toBe(500);
    expect(test.complaints.join()).toMatch(/option "principal" is .+Accepted: .+identifier itself/);
    expect(runs).toBe(0);
  });
});

/** A form with one file, as browsers send it. */
function form(content: string, name = 'photo.bin'): RequestOptions {
  const text = [
    '--boundary',
    'Content-Disposition: form-data; name="title"',
    '',
    'A photo',
    '--boundary',
    `Content-Disposition: form-data; name="photo"; filename="${name}"`,
    'Content-Type: application/octet-stream',
    '',
    content,
    '--boundary--',
    '',
  ].join('\r\n');
  return { body: text, headers: { 'content-type': 'multipart/form-data; boundary=boundary' } };
}

describe('forms with files', () => {
  let test: TestApp;
  let store: FaultInjectingStore;
  afterEach(() => test.close());
  beforeEach(() => {
    runs = 0;
    store = new FaultInjectingStore(new MemoryStore());
  });

  const start = async (
    platform: Platform,
    controller: Type,
    configure?: (app: INestApplication) => unknown,
  ) => {
    test = await boot(platform, { controllers: [controller], idempotency: { store }, configure });
  };
  const upload = (given: RequestOptions) => test.send('/uploads', { key: 'k', ...given });

  const expectFilesCompared = async () => {
    const first = await upload(form('A'));
    expect(first.status).toBe(201);
    expectReplay(first, await upload(form('A')));
    expectProblem(await upload(form('B')), 422, 'IDEMPOTENCY_KEY_REUSED');
    expect(runs).toBe(1);
  };
  const expectNotGuessed = async () => {
    const reply = await upload(form('A'));
    expectProblem(reply, 415, 'IDEMPOTENCY_CONTENT_NOT_PARSED');
    expectProblem(await upload(form('A')), 415, 'IDEMPOTENCY_CONTENT_NOT_PARSED');
    expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    // What to do about it is for those who run the application, who need to hear it once.
    const told = test.complaints.filter((line) => line.includes('CONTENT_NOT_PARSED'));
    expect(told).toEqual([expect.stringMatching(/on POST \/uploads: .+fingerprint/)]);
  };

  it('are compared when FileInterceptor stands below, and so has read them', async () => {
    @Controller()
    class Below {
      @Idempotent()
      @UseInterceptors(FileInterceptor('photo'))
      @Post('uploads')
      upload(@Req() request: { file: { size: number } }): unknown {
        return { run: ++runs, size: request.file.size };
      }
    }
    await start('express', Below);
    await expectFilesCompared();
  });

  it('are compared when FileInterceptor stands on the class', async () => {
    @UseInterceptors(FileInterceptor('photo'))
    @Controller()
    class OfClass {
      @Idempotent()
      @Post('uploads')
      upload(): number {
        return ++runs;
      }
    }
    await start('express', OfClass);
    await expectFilesCompared();
  });

  it('are not guessed when FileInterceptor stands above, and the remedy says so', async () => {
    @Controller()
    class Above {
      @UseInterceptors(FileInterceptor('photo'))
      @Idempotent()
      @Post('uploads')
      upload(): number {
        return ++runs;
      }
    }
    await start('express', Above);
    const causes: unknown[] = [];
    test.app.get(IdempotencyService).events$.subscribe((event) => {
      if (event.type === 'rejected') causes.push(event.cause);
    });
    await expectNotGuessed();
    expect(String(causes[0])).toMatch(/FileInterceptor below @Idempotent\(\)/);
  });

  it.each(['express', 'fastify'] as const)(
    'run with another fingerprint where nothing has read them: %s',
    async (platform) => {
      @Controller()
      class Unread {
        @Idempotent({ fingerprint: ({ request }) => request.headers['x-digest'] ?? null })
        @Post('uploads')
        upload(): number {
          return ++runs;
        }
      }
      await start(platform, Unread, registerMultipart({}));
      const digest = (value: string) => {
        const given = form('A');
        return upload({ ...given, headers: { ...given.headers, 'x-digest': value } });
      };
      const first = await digest('1');
      expect(first.status).toBe(201);
      expectReplay(first, await digest('1'));
      expectProblem(await digest('2'), 422, 'IDEMPOTENCY_KEY_REUSED');
    },
  );

  const registerMultipart = (options: object) => async (app: INestApplication) => {
    if (app.getHttpAdapter().getType() !== 'fastify') return;
    const fastify = app.getHttpAdapter().getInstance() as FastifyInstance;
    await fastify.register(multipart, options);
  };

  @Controller()
  class Plain {
    @Idempotent()
    @Post('uploads')
    upload(): number {
      return ++runs;
    }
  }

  it('are not guessed when nothing reads them: express', async () => {
    await start('express', Plain);
    await expectNotGuessed();
  });

  it.each([
    ['left to the handler', {}],
    ['attached as streams', { attachFieldsToBody: true }],
  ])('are not guessed when @fastify/multipart has them %s', async (_name, options) => {
    await start('fastify', Plain, registerMultipart(options));
    await expectNotGuessed();
  });

  it('are compared when @fastify/multipart attaches their content', async () => {
    await start('fastify', Plain, registerMultipart({ attachFieldsToBody: 'keyValues' }));
    await expectFilesCompared();
  });
});

describe.each(PLATFORMS)('content that no parser knows, on %s', (platform) => {
  let test: TestApp;
  afterEach(() => test.close());
  beforeEach(() => {
    runs = 0;
  });

  @Controller()
  class Documents {
    @Idempotent()
    @Post('documents')
    save(): number {
      return ++runs;
    }
  }
  const save = (content: string) =>
    test.send('/documents', {
      key: 'k',
      body: content,
      headers: { 'content-type': 'text/xml' },
    });

  it('does not run unread', async () => {
    test = await boot(platform, { controllers: [Documents], rawBody: true });
    // Fastify refuses types without a parser by itself.
    const words = platform === 'fastify' ? 'Unsupported Media Type' : 'CONTENT_NOT_PARSED';
    for (let call = 0; call < 3; call += 1) {
      const { status, text } = await save('<a/>');
      expect({ status, text }).toEqual({ status: 415, text: expect.stringContaining(words) });
    }
    expect(runs).toBe(0);
    // No caller can fill the log, and `rawBody` is no remedy: the remedy is the test below.
    expect(test.complaints.length).toBeLessThanOrEqual(platform === 'fastify' ? 3 : 1);
    expect(test.complaints.join()).not.toContain('rawBody');
  });

  it.each([true, false])(
    'is compared once a parser keeps it, with rawBody: %s',
    async (rawBody) => {
      test = await boot(platform, {
        controllers: [Documents],
        rawBody,
        configure: (app) =>
          (app as INestApplication & { useBodyParser(...of: unknown[]): unknown }).useBodyParser(
            platform === 'express' ? 'raw' : 'text/xml',
            platform === 'express' ? { type: 'text/xml' } : {},
          ),
      });
      const first = await save('<a/>');
      expect(first.status).toBe(201);
      expectReplay(first, await save('<a/>'));
      expectProblem(await save('<b/>'), 422, 'IDEMPOTENCY_KEY_REUSED');
      expect(runs).toBe(1);
    },
  );
});
