import {
  Body,
  type CanActivate,
  type ArgumentsHost,
  Catch,
  Controller,
  Delete,
  type ExceptionFilter,
  type ExecutionContext,
  ForbiddenException,
  Get,
  Head,
  Injectable,
  NotFoundException,
  Options,
  Param,
  Post,
  UnauthorizedException,
  UseFilters,
  UseGuards,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import {
  IdempotencyException,
  IdempotencyService,
  Idempotent,
  isIdempotencyError,
  MemoryStore,
  type IdempotentOperation,
  Operation,
} from 'nestjs-idempotency';
import { REFUSALS } from 'nestjs-idempotency/contracts';
import { failBefore, FaultInjectingStore, Gate, ManualClock } from 'nestjs-idempotency/testing';
import {
  boot,
  essence,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  requestText,
  type TestApp,
} from '../support/http.js';

let runs = 0;
let gate = new Gate();
/** What the guard of `/guarded` does now. */
let guardAnswer: () => boolean = () => true;

@Injectable()
class ChangingGuard implements CanActivate {
  canActivate(): boolean {
    return guardAnswer();
  }
}

@Injectable()
class SignIn implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context
      .switchToHttp()
      .getRequest<{ headers: Record<string, string>; user?: object }>();
    const name = request.headers['x-user'];
    if (name !== undefined) request.user = { id: name };
    return true;
  }
}

@Catch(IdempotencyException)
class OwnShape implements ExceptionFilter {
  constructor(private readonly host: HttpAdapterHost) {}

  catch(error: IdempotencyException, context: ArgumentsHost): void {
    const response: unknown = context.switchToHttp().getResponse();
    const body = { failed: true, why: error.code, again: error.retryable };
    this.host.httpAdapter.reply(response, body, 418);
  }
}

@Controller()
class Payments {
  @Idempotent()
  @Post('payments')
  pay(@Body() body: unknown): unknown {
    runs += 1;
    return { run: runs, body };
  }

  @Idempotent()
  @Delete('payments/:id')
  remove(@Param('id') id: string): unknown {
    runs += 1;
    return { run: runs, id };
  }

  @Idempotent()
  @Post('other')
  other(): number {
    return ++runs;
  }

  @Idempotent({ retryAfter: 1_200 })
  @Post('gated')
  async gated(): Promise<number> {
    runs += 1;
    await gate.pass();
    return runs;
  }

  @Idempotent({ onDuplicate: 'reject' })
  @Post('votes')
  async vote(): Promise<number> {
    runs += 1;
    await gate.pass();
    return runs;
  }

  @Idempotent({ required: false })
  @Post('optional')
  optional(@Operation() operation: IdempotentOperation): unknown {
    return { run: ++runs, key: operation.key ?? null };
  }

  @Idempotent()
  @Post('held')
  async held(@Operation() operation: IdempotentOperation): Promise<number> {
    await operation.hold('money may have moved');
    return ++runs;
  }

  @Idempotent()
  @Post('large')
  large(): string {
    runs += 1;
    return 'x'.repeat(5_000);
  }

  @Idempotent()
  @Post('missing')
  missing(): never {
    runs += 1;
    throw new NotFoundException('no such thing');
  }

  @Idempotent()
  @UseGuards(ChangingGuard)
  @Post('guarded')
  guarded(): number {
    return ++runs;
  }

  @UseGuards(ChangingGuard)
  @Idempotent()
  @Post('guarded-above')
  guardedAbove(): number {
    return ++runs;
  }

  @UseFilters(OwnShape)
  @Idempotent()
  @Post('own-shape')
  ownShape(): number {
    return ++runs;
  }
}

@Idempotent()
@Controller('safe')
class Safe {
  @Idempotent()
  @Get()
  get(): number {
    return ++runs;
  }

  @Idempotent()
  @Head('head')
  head(): void {
    runs += 1;
  }

  @Idempotent()
  @Options('options')
  options(): number {
    return ++runs;
  }
}

describe.each(PLATFORMS)('the answers on %s', (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let storeClock: ManualClock;

  beforeAll(async () => {
    storeClock = new ManualClock();
    store = new FaultInjectingStore(new MemoryStore({ clock: storeClock }));
    test = await boot(platform, {
      controllers: [Payments, Safe],
      idempotency: { store, maxResponseBytes: 4_096 },
      configure: (app) => app.useGlobalGuards(new SignIn()),
    });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = 0;
    gate = new Gate();
    guardAnswer = () => true;
    store.calls.length = 0;
    store.heal();
  });

  const send = (path: string, key?: string, body: unknown = { amount: 1 }) =>
    test.send(path, { key, body });

  describe('first calls and retries', () => {
    it('runs once and answers a retry with the same bytes and the marker', async () => {
      const first = await send('/payments', 'first');
      const retry = await send('/payments', 'first');
      expect(first.status).toBe(201);
      expectReplay(first, retry);
      expect(runs).toBe(1);
    });

    it('costs two calls of the store at first, one for a replay', async () => {
      await send('/payments', 'cost');
      expect(store.calls.map(({ verb }) => verb)).toEqual(['acquire', 'complete']);
      await send('/payments', 'cost');
      expect(store.calls.map(({ verb }) => verb)).toEqual(['acquire', 'complete', 'acquire']);
    });

    it('replays a result that is an error of the handler', async () => {
      const first = await send('/missing', 'not-found');
      const retry = await send('/missing', 'not-found');
      expect(first.status).toBe(404);
      expectReplay(first, retry);
      expect(runs).toBe(1);
    });

    it('runs again after the ttl, decided when the record is read', async () => {
      const first = await send('/payments', 'expiring');
      await storeClock.advance(24 * 3_600_000 - 1);
      expectReplay(first, await send('/payments', 'expiring'));
      await storeClock.advance(1);
      const later = await send('/payments', 'expiring');
      expect(later.headers).not.toHaveProperty('idempotent-replayed');
      expect(runs).toBe(2);
      expect(store.count('purgeExpired')).toBe(0);
    });

    it('keeps a record of its own for every route', async () => {
      const first = await send('/payments', 'routes');
      const second = await send('/other', 'routes');
      expect(second.headers).not.toHaveProperty('idempotent-replayed');
      expect(essence(second)).not.toEqual(essence(first));
      expect(runs).toBe(2);
    });

    it('protects DELETE with a parameter, and tells parameters apart', async () => {
      const remove = (id: string) =>
        test.send(`/payments/${id}`, { method: 'DELETE', key: 'gone' });
      expectReplay(await remove('1'), await remove('1'));
      expectProblem(await remove('2'), 422, 'IDEMPOTENCY_KEY_REUSED');
      expect(runs).toBe(1);
    });
  });

  describe('keys', () => {
    const refused: [name: string, lines: string[]][] = [
      ['an empty key', ['Idempotency-Key:']],
      ['a key of blanks', ['Idempotency-Key:   ']],
      ['an empty string', ['Idempotency-Key: ""']],
      ['more than 255 characters', [`Idempotency-Key: ${'k'.repeat(256)}`]],
      ['more than 255 characters in quotes', [`Idempotency-Key: "${'k'.repeat(256)}"`]],
      ['10 kB', [`Idempotency-Key: ${'k'.repeat(10_000)}`]],
      ['characters beyond ASCII', ['Idempotency-Key: caf\u00e9']],
      ['a tab inside', ['Idempotency-Key: a\tb']],
      ['a control character in quotes', ['Idempotency-Key: "a\tb"']],
      ['a string that does not end', ['Idempotency-Key: "abc']],
      ['something behind the string', ['Idempotency-Key: "abc" def']],
      ['a list of strings', ['Idempotency-Key: "abc", "def"']],
      ['two header lines', ['Idempotency-Key: abc', 'Idempotency-Key: def']],
      ['two equal header lines', ['Idempotency-Key: abc', 'idempotency-key: abc']],
      ['two quoted header lines', ['Idempotency-Key: "abc"', 'Idempotency-Key: "def"']],
    ];

    it.each(refused)('refuses %s before the store is asked', async (_name, lines) => {
      const connection = await test.raw(requestText('/payments', lines));
      const reply = await connection.received;
      expect(reply).toMatch(/^HTTP\/1\.1 400 /);
      expect(reply).toMatch(/content-type: application\/problem\+json/i);
      expect(reply).toContain('"code":"IDEMPOTENCY_KEY_INVALID"');
      expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    });

    it('never takes NUL in a key', async () => {
      const connection = await test.raw(requestText('/payments', ['Idempotency-Key: a\0b']));
      expect(await connection.received).toMatch(/^HTTP\/1\.1 400 /);
      expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    });

    it('refuses a missing key before the store is asked', async () => {
      expectProblem(await send('/payments'), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
    });

    it('takes the quoted and the bare form, and blanks around them, for the same key', async () => {
      const first = await send('/payments', '"8e03978e-40d5"');
      for (const key of [
        '8e03978e-40d5',
        '  8e03978e-40d5 ',
        ' "8e03978e-40d5" ',
        '"8e03978e-40d5";p=1',
      ])
        expectReplay(first, await send('/payments', key));
      expect(runs).toBe(1);
    });

    it('takes 255 characters, and tells upper from lower case', async () => {
      const key = 'k'.repeat(255);
      expect((await send('/payments', key)).status).toBe(201);
      expect((await send('/payments', key.toUpperCase())).status).toBe(201);
      expect(runs).toBe(2);
    });

    it('takes characters that mean something to servers as they are', async () => {
      for (const key of ['*', 'a:b:c', '{tag}', '%00', '../../x', '__proto__', "';DROP--"])
        expectReplay(await send('/payments', key), await send('/payments', key));
    });

    it('runs without a key where it is optional, and leaves no record', async () => {
      const first = await send('/optional');
      const second = await send('/optional');
      expect([first.json(), second.json()]).toEqual([
        { run: 1, key: null },
        { run: 2, key: null },
      ]);
      expect(store.count()).toBe(0);
      expectReplay(await send('/optional', 'given'), await send('/optional', 'given'));
    });

    it('refuses a malformed key also where it is optional', async () => {
      expectProblem(await send('/optional', '"open'), 400, 'IDEMPOTENCY_KEY_INVALID');
      expect(runs).toBe(0);
    });

    it.each([
      ['GET', '/safe', 200],
      ['HEAD', '/safe', 200],
      ['HEAD', '/safe/head', 200],
      ['OPTIONS', '/safe/options', 200],
    ])('ignores a key of %s %s', async (method, path, status) => {
      for (const key of ['read', 'read', '"malformed'])
        expect((await test.send(path, { method, key })).status).toBe(status);
      expect({ runs, calls: store.count() }).toEqual({ runs: 3, calls: 0 });
    });
  });

  describe('other content', () => {
    it('answers 422 after the end and leaves the record as it is', async () => {
      const first = await send('/payments', 'content');
      expectProblem(
        await send('/payments', 'content', { amount: 2 }),
        422,
        'IDEMPOTENCY_KEY_REUSED',
      );
      expectReplay(first, await send('/payments', 'content'));
      expect(runs).toBe(1);
    });

    it('answers 422 while the first call runs and leaves its claim as it is', async () => {
      const first = send('/gated', 'running');
      await gate.reached();
      expectProblem(await send('/gated', 'running', { amount: 2 }), 422, 'IDEMPOTENCY_KEY_REUSED');
      gate.open();
      expectReplay(await first, await send('/gated', 'running'));
      expect(runs).toBe(1);
    });
  });

  describe('duplicates of a call that runs', () => {
    it('answers 409 with whole seconds to wait, rounded up, and leaves the claim as it is', async () => {
      const first = send('/gated', 'in-use');
      await gate.reached();
      const duplicate = await send('/gated', 'in-use');
      expectProblem(duplicate, 409, 'IDEMPOTENCY_KEY_IN_USE');
      expect(duplicate.headers['retry-after']).toBe('2');
      expect(duplicate.json()).toMatchObject({ retryable: true });
      gate.open();
      expectReplay(await first, await send('/gated', 'in-use'));
      expect(runs).toBe(1);
    });
  });

  describe("onDuplicate: 'reject'", () => {
    it('tells a duplicate of a finished call from one of a running call', async () => {
      const first = send('/votes', 'vote');
      await gate.reached();
      expectProblem(await send('/votes', 'vote'), 409, 'IDEMPOTENCY_KEY_IN_USE');
      gate.open();
      expect((await first).status).toBe(201);
      const duplicate = await send('/votes', 'vote');
      expectProblem(duplicate, 409, 'IDEMPOTENCY_DUPLICATE');
      expect(duplicate.json()).toMatchObject({ retryable: false });
      expect(duplicate.headers).not.toHaveProperty('retry-after');
      expect(runs).toBe(1);
    });
  });

  describe('records that hold no reply', () => {
    it('answers 409 while the outcome is unknown, without the reason', async () => {
      const first = await send('/held', 'held');
      expect(first.status).toBe(201);
      const retry = await send('/held', 'held');
      expectProblem(retry, 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      expect(retry.json()).toMatchObject({ retryable: false });
      expect(retry.text).not.toContain('money');
      expect(runs).toBe(1);
    });

    it('answers 409 when the reply was too large to keep', async () => {
      const first = await send('/large', 'large');
      expect(first.text).toBe('x'.repeat(5_000));
      expectProblem(await send('/large', 'large'), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
    });

    it.each([
      ['bytes of something else', Buffer.from('garbage')],
      ['nothing', Buffer.alloc(0)],
      ['a version to come', Buffer.from([200, 1, 0, 0])],
      ['a version to come like this', Buffer.from('\xc8\x01\0\0\0\x08[200,[]]ok', 'latin1')],
      ['a head that is cut short', Buffer.from([1, 1, 0, 0, 1, 0])],
      ['a head that is longer than it', Buffer.from('\x01\x01\0\0\0\x63[200,[]]', 'latin1')],
      ['a head that is not JSON', Buffer.from([1, 1, 0, 0, 0, 2, 65, 66])],
      ['a value of a call outside HTTP', Buffer.from([1, 2, 255, 15, 73, 2])],
    ])('answers 500 for a record of %s and does not run', async (name, reply) => {
      const key = `planted ${name}`.replaceAll(' ', '-');
      await send('/payments', key);
      const { argument } = store.calls.find(({ verb }) => verb === 'acquire')!;
      const { id } = argument as { id: string };
      store.forget(id);
      const claim = { id, owner: 'planter' };
      store.acquire({ ...claim, fingerprint: '', leaseMs: 1_000, ttlMs: 1_000 });
      store.complete({ ...claim, reply, ttlMs: 1_000 });
      expectProblem(await send('/payments', key), 500, 'IDEMPOTENCY_RECORD_UNREADABLE');
      expect(runs).toBe(1);
    });
  });

  describe('a store that is down', () => {
    it('answers 503 with a time to wait and does not run', async () => {
      store.always('acquire', failBefore(new Error('secret host name')));
      const reply = await send('/payments', 'down');
      expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
      expect(reply.headers['retry-after']).toBe('1');
      expect(reply.text).not.toContain('secret');
      expect(runs).toBe(0);
    });
  });

  describe('guards', () => {
    it.each(['/guarded', '/guarded-above'])('run on a replay too, at %s', async (path) => {
      const first = await send(path, path);
      guardAnswer = () => {
        throw new UnauthorizedException();
      };
      expect((await send(path, path)).status).toBe(401);
      guardAnswer = () => false;
      expect((await send(path, path)).status).toBe(403);
      guardAnswer = () => true;
      expectReplay(first, await send(path, path));
      expect(runs).toBe(1);
    });

    it('refuse a first call without a trace in the store', async () => {
      guardAnswer = () => {
        throw new ForbiddenException();
      };
      expect((await send('/guarded', 'never')).status).toBe(403);
      expect(store.count()).toBe(0);
    });
  });

  describe('problem details', () => {
    it('have the members of the table and nothing else', async () => {
      const reply = await send('/payments');
      const { title, detail, status, retryable } = REFUSALS.IDEMPOTENCY_KEY_REQUIRED;
      expect(reply.json()).toEqual({
        type: 'urn:nestjs-idempotency:problem:key-required',
        title,
        status,
        detail,
        code: 'IDEMPOTENCY_KEY_REQUIRED',
        retryable,
      });
    });

    it('never show the key', async () => {
      const reply = await send('/payments', '"my-secret-key');
      expectProblem(reply, 400, 'IDEMPOTENCY_KEY_INVALID');
      expect(reply.text).not.toContain('my-secret');
    });

    it("are an exception that an application's own filter gives another shape", async () => {
      const reply = await send('/own-shape');
      expect(reply.status).toBe(418);
      expect(reply.headers['content-type']).toMatch(/^application\/json/);
      expect(reply.json()).toEqual({ failed: true, why: 'IDEMPOTENCY_KEY_REQUIRED', again: false });
    });
  });

  it('shows in find() what became of an operation, and forgets it on demand', async () => {
    const service = test.app.get(IdempotencyService);
    const ref = { scope: 'POST /payments', key: 'looked-up' };
    expect(await service.find(ref)).toBeUndefined();
    await send('/payments', 'looked-up');
    expect(await service.find(ref)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await service.forget(ref)).toBe(true);
    await send('/payments', 'looked-up');
    expect(runs).toBe(2);
  });

  it('logs what only operators can mend, and nothing on the way of other calls', async () => {
    await eventually(() => true);
    const complaints = test.complaints.filter((line) => !line.includes('has no effect'));
    expect(complaints.length).toBeGreaterThan(0);
    for (const line of complaints)
      expect(line).toMatch(/IDEMPOTENCY_(RECORD_UNREADABLE|FINGERPRINT_UNAVAILABLE) on POST \//);
  });
});

describe.each(PLATFORMS)('options of the module on %s', (platform) => {
  let test: TestApp;
  afterEach(() => test.close());

  it('links problem types to problemBaseUrl', async () => {
    test = await boot(platform, {
      controllers: [Payments],
      idempotency: { problemBaseUrl: 'https://docs.example.com/problems#' },
    });
    expect((await test.send('/payments')).json()).toMatchObject({
      type: 'https://docs.example.com/problems#key-required',
    });
  });

  it('reads the key from the header that is named', async () => {
    test = await boot(platform, {
      controllers: [Payments],
      idempotency: { header: 'X-Request-Key' },
    });
    expectProblem(await test.send('/payments', { key: 'k' }), 400, 'IDEMPOTENCY_KEY_REQUIRED');
    const pay = () => test.send('/payments', { headers: { 'x-request-key': 'k' } });
    expectReplay(await pay(), await pay());
  });

  it('lets a global filter reshape refusals', async () => {
    test = await boot(platform, {
      controllers: [Payments],
      configure: (app) => app.useGlobalFilters(new OwnShape(app.get(HttpAdapterHost))),
    });
    const reply = await test.send('/payments');
    expect(reply.json()).toMatchObject({ failed: true });
    expect(isIdempotencyError(new IdempotencyException('IDEMPOTENCY_DUPLICATE'))).toBe(true);
  });

  it('exposes the marker and the time to wait to scripts of other origins', async () => {
    test = await boot(platform, {
      controllers: [Payments],
      configure: (app) => app.enableCors({ origin: true, exposedHeaders: ['X-Own'] }),
    });
    gate = new Gate();
    const headers = { origin: 'https://shop.example.com' };
    const first = test.send('/gated', { key: 'cors', headers });
    await gate.reached();
    const exposed = (reply: Awaited<typeof first>) =>
      reply.headers['access-control-expose-headers']?.split(/, ?/);
    expect(exposed(await test.send('/gated', { key: 'cors', headers }))).toEqual([
      'X-Own',
      'Idempotency-Error',
      'Retry-After',
    ]);
    gate.open();
    expect(exposed(await first)).toEqual(['X-Own']);
    expect(exposed(await test.send('/gated', { key: 'cors', headers }))).toEqual([
      'X-Own',
      'Idempotent-Replayed',
    ]);
  });
});
