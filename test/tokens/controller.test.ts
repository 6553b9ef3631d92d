import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Inject,
  Injectable,
  Module,
  Post,
  ValidationPipe,
} from '@nestjs/common';
import {
  IdempotencyModule,
  type IdempotencyModuleOptions,
  Idempotent,
  type IdempotentDeclaration,
  isIdempotencyConfigurationError,
  MemoryStore,
} from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore } from 'nestjs-idempotency/testing';
import {
  type AppOptions,
  boot,
  bootError,
  expectProblem,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';
import { type Issued, principal, SECRET } from './support/token-shop.js';

@Injectable()
class Doorman {
  readonly name = 'alice';
}

@Module({ providers: [Doorman], exports: [Doorman] })
class DoorModule {}

@Injectable()
class AliceOnly implements CanActivate {
  constructor(@Inject(Doorman) private readonly doorman: Doorman) {}

  canActivate(context: ExecutionContext): boolean {
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, unknown> }>();
    return headers['x-user'] === this.doorman.name;
  }
}

const ALICE = { 'x-user': 'alice' };
const ROUTE = '/idempotency/tokens';

describe.each(PLATFORMS)('the route for tokens on %s', (platform) => {
  let test: TestApp;
  afterEach(() => test?.close());

  const start = async (options: Partial<AppOptions> = {}): Promise<void> => {
    test = await boot(platform, { controllers: [], ...options });
  };

  it('is not there unless it is asked for', async () => {
    await start({ idempotency: { tokens: {} } });
    expect((await test.send(ROUTE)).status).toBe(404);
  });

  it('answers with the token, its end and its header, for no cache to keep', async () => {
    const tokens = { ttl: '10m' } as const;
    await start({ idempotency: { tokens, tokenController: true, header: 'X-Once' } });
    const reply = await test.send(ROUTE);
    expect(reply).toMatchObject({ status: 201, headers: { 'cache-control': 'no-store' } });
    const { token, expiresAt, header } = reply.json() as Issued;
    expect(token).toMatch(/^[\w-]{72}$/);
    expect(header).toBe('X-Once');
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 600_000)).toBeLessThan(60_000);
    expect(new Date(expiresAt).toISOString()).toBe(expiresAt);
  });

  it('knows the purposes that it was given, and no others', async () => {
    await start({
      idempotency: {
        tokens: { purposes: ['order'] },
        tokenController: true,
        problemBaseUrl: 'https://example.com/problems#',
      },
      configure: (app) => app.useGlobalPipes(new ValidationPipe({ whitelist: true })),
    });
    for (const body of [undefined, {}, { purpose: 'order' }, { purpose: '' }])
      expect((await test.send(ROUTE, { body })).status).toBe(201);
    for (const purpose of ['gift', 'constructor', 5, null, ['order']]) {
      const reply = await test.send(ROUTE, { body: { purpose } });
      expectProblem(reply, 400, 'IDEMPOTENCY_PURPOSE_UNKNOWN');
      expect(reply.json()).toMatchObject({ type: 'https://example.com/problems#purpose-unknown' });
    }
  });

  const there = { path: 'forms/once', guards: [AliceOnly] };
  const async = IdempotencyModule.forRootAsync({
    tokenController: there,
    imports: [DoorModule],
    useFactory: (): IdempotencyModuleOptions => ({
      principal,
      tokens: { mode: 'signed', secrets: [SECRET] },
    }),
  });

  it.each([
    ['forRoot()', { idempotency: { principal, tokenController: there, imports: [DoorModule] } }],
    ['forRootAsync()', { module: async }],
  ])('has the path and the guards of %s', async (_name, options) => {
    await start(options);
    expect((await test.send('/forms/once', { headers: ALICE })).status).toBe(201);
    expect((await test.send('/forms/once')).status).toBe(403);
    expect((await test.send(ROUTE, { headers: ALICE })).status).toBe(404);
  });

  it('answers 503 while the store is down, where it needs one', async () => {
    const store = new FaultInjectingStore(new MemoryStore()).always('issue', failBefore());
    await start({ idempotency: { store, tokenController: true } });
    const reply = await test.send(ROUTE);
    expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(reply.headers['retry-after']).toBe('1');
  });
});

describe('booting with tokens', () => {
  const SHORT = 'only 19 bytes of it';
  const signed = (secrets: unknown) => ({ tokens: { mode: 'signed', secrets } });

  it.each<[string, object, string]>([
    ['tokens', { tokens: true }, 'true'],
    ['tokens.mode', { tokens: { mode: 'encrypted' } }, '"encrypted"'],
    ['tokens.path', { tokens: { path: '/t' } }, 'tokenController'],
    ['tokens.secrets', signed(undefined), 'openssl rand'],
    ['tokens.secrets', signed([]), 'an empty list'],
    ['tokens.secrets', signed([SHORT]), 'a secret of 19 bytes'],
    ['tokens.secrets', signed([SECRET, Buffer.alloc(31)]), 'a secret of 31 bytes'],
    ['tokens.secrets', signed([7]), '7'],
    ['tokens.secrets', { tokens: { secrets: [SECRET] } }, "mode: 'signed'"],
    ['tokens.ttl', { tokens: { ttl: 'soon' } }, '"soon"'],
    ['tokens.purposes', { tokens: { purposes: ['order', ''] } }, 'a list of 2'],
    ['tokenController', { tokenController: 'yes' }, '"yes"'],
    ['tokenController.path', { tokenController: { path: '' } }, '""'],
    ['tokenController.guards', { tokenController: { guards: [{}] } }, 'a list of 1'],
    ['tokenController.purposes', { tokenController: { purposes: [] } }, '`tokens`'],
  ])('names %s in the error for %j', async (option, idempotency, hint) => {
    const error = await bootError('express', { controllers: [], idempotency });
    expect(isIdempotencyConfigurationError(error)).toBe(true);
    expect(error).toMatchObject({ option });
    expect(error.message).toContain(hint);
    expect(error.message).not.toContain(SHORT);
  });

  it.each<[string, object]>([
    ['purpose', { purpose: '' }],
    ['purpose', { purpose: 5 }],
    ['key', { key: () => 'mine' }],
    ['scope', { scope: 'mine' }],
  ])('names the %s of the handler in the error for %j', async (option, own) => {
    @Controller()
    class Shop {
      @Idempotent({ strategy: 'token', ...own } as IdempotentDeclaration)
      @Post()
      order(): void {}
    }
    const error = await bootError('express', { controllers: [Shop] });
    expect(error).toMatchObject({ option: `${option} of Shop.order` });
  });

  it('names the scope that a handler has from its class', async () => {
    @Idempotent({ scope: 'shop' })
    @Controller()
    class Shop {
      @Idempotent({ strategy: 'token' })
      @Post()
      order(): void {}
    }
    const error = await bootError('express', { controllers: [Shop] });
    expect(error).toMatchObject({ option: 'scope of Shop.order' });
  });
});
