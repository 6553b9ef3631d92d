import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Post,
  UseGuards,
} from '@nestjs/common';
import { Idempotent, type IdempotencyModuleOptions } from 'nestjs-idempotency';
import { boot, expectProblem, expectReplay, PLATFORMS, type TestApp } from '../support/http.js';

let runs = 0;

/** Puts on the request whom a test says. */
class SignedIn implements CanActivate {
  static user: unknown;

  canActivate(context: ExecutionContext): boolean {
    context.switchToHttp().getRequest<{ user: unknown }>().user = SignedIn.user;
    return true;
  }
}

@Controller('payments')
class Payments {
  @Idempotent()
  @Post()
  pay(): unknown {
    return { run: ++runs };
  }

  @UseGuards(SignedIn)
  @Idempotent()
  @Post('mine')
  mine(): unknown {
    return { run: ++runs };
  }
}

describe.each(PLATFORMS)('a caller on %s', (platform) => {
  let test: TestApp | undefined;
  beforeEach(() => {
    runs = 0;
    SignedIn.user = undefined;
  });
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  async function start(idempotency: IdempotencyModuleOptions = {}): Promise<TestApp> {
    test = await boot(platform, { controllers: [Payments], idempotency });
    return test;
  }

  const SERVICE = { authorization: 'Bearer gateway' };

  it.each([
    [
      'another cookie beside the same token',
      { ...SERVICE, cookie: 'a' },
      { ...SERVICE, cookie: 'b' },
    ],
    ['no cookie beside the same token', { ...SERVICE, cookie: 'a' }, SERVICE],
    ['another API key', { 'x-api-key': 'a' }, { 'x-api-key': 'b' }],
    ['an API key beside the same token', SERVICE, { ...SERVICE, 'x-api-key': 'b' }],
    ['another token', { authorization: 'Bearer a' }, { authorization: 'Bearer b' }],
  ])('never gets the reply of one with %s, and is told why', async (_, headers, others) => {
    const app = await start();
    const first = await app.send('/payments', { key: 'k', headers });
    const foreign = await app.send('/payments', { key: 'k', headers: others });
    expectProblem(foreign, 422, 'IDEMPOTENCY_KEY_REUSED');
    expect(foreign.json()).toMatchObject({
      differs: 'credentials',
      detail: expect.stringContaining('other credentials') as string,
    });
    expectReplay(first, await app.send('/payments', { key: 'k', headers }));
    expect(runs).toBe(1);
  });

  it('is told that the content differs where it is the content', async () => {
    const app = await start();
    const headers = { cookie: 'a' };
    await app.send('/payments', { key: 'k', headers, body: { amount: 1 } });
    const other = await app.send('/payments', { key: 'k', headers, body: { amount: 2 } });
    expectProblem(other, 422, 'IDEMPOTENCY_KEY_REUSED');
    expect(other.json()).not.toHaveProperty('differs');
  });

  it('is known by the header that the application names', async () => {
    const app = await start({ credentialHeaders: ['X-Device'] });
    await app.send('/payments', { key: 'k', headers: { 'X-Device': 'a' } });
    const other = await app.send('/payments', { key: 'k', headers: { 'X-Device': 'b' } });
    expect(other.json()).toMatchObject({ differs: 'credentials' });
  });

  it.each([
    ['id', { id: 'alice' }, { id: 'bob' }],
    ['sub', { sub: 'alice' }, { sub: 'bob' }],
    ['userId', { userId: 1 }, { userId: 2 }],
    ['an ObjectId', { id: { toHexString: () => 'a1' } }, { id: { toHexString: () => 'b2' } }],
  ])('has keys of its own by %s, whatever else the request carries', async (_, alice, bob) => {
    const app = await start();
    SignedIn.user = alice;
    const first = await app.send('/payments/mine', { key: 'k', headers: { cookie: 'a' } });
    SignedIn.user = bob;
    expect((await app.send('/payments/mine', { key: 'k' })).json()).toEqual({ run: 2 });
    SignedIn.user = alice;
    expectReplay(
      first,
      await app.send('/payments/mine', { key: 'k', headers: { cookie: 'rotated' } }),
    );
  });

  it('whose id is an object without text is an error, never nobody', async () => {
    const app = await start();
    SignedIn.user = { id: { tenant: 1 } };
    expect((await app.send('/payments/mine', { key: 'k' })).status).toBe(500);
    expect(runs).toBe(0);
    expect(app.complaints.join()).toMatch(/principal: request\.user\.id/);
  });

  it('who cannot be told from others is warned of, once for each handler', async () => {
    const app = await start();
    for (const key of ['a', 'b']) await app.send('/payments', { key });
    await app.send('/payments/mine', { key: 'a' });
    expect(app.unknownCallers.map((warning) => warning.split(' keeps')[0])).toEqual([
      'POST /payments',
      'POST /payments/mine',
    ]);
  });

  it('is not warned of where it is known, or the application says that it is nobody', async () => {
    const app = await start();
    await app.send('/payments', { key: 'a', headers: { cookie: 'a' } });
    expect(app.unknownCallers).toEqual([]);
    await app.close();
    const open = await start({ principal: () => undefined });
    await open.send('/payments', { key: 'a' });
    expect(open.unknownCallers).toEqual([]);
  });
});
