import {
  All,
  Body,
  Controller,
  Get,
  Header,
  HttpCode,
  Injectable,
  Module,
  Param,
  Patch,
  Post,
  Put,
  RequestMethod,
  Scope,
  SetMetadata,
  Sse,
  type Type,
  UseGuards,
  Version,
  VERSION_NEUTRAL,
  VersioningType,
} from '@nestjs/common';
import { NestFactory, Reflector, RouterModule } from '@nestjs/core';
import {
  body,
  header,
  IdempotencyConfigurationError,
  IdempotencyModule,
  type IdempotencyModuleOptions,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  type IdempotentDeclaration,
  type IdempotentOptions,
  isIdempotencyConfigurationError,
  MemoryStore,
  Operation,
  param,
  signature,
} from 'nestjs-idempotency';
import {
  IdempotencyStrategy,
  type IdempotencyStrategyContract,
  type StrategyContext,
  type StrategyPlan,
} from 'nestjs-idempotency/contracts';
import { failBefore, FaultInjectingStore, unprotected } from 'nestjs-idempotency/testing';
import { EMPTY, type Observable } from 'rxjs';
import { inspect } from 'node:util';
import {
  type AppOptions,
  boot,
  bootError,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

let runs = 0;

/** A controller with one handler, which answers with its scope. */
function controllerWith(options: IdempotentOptions, path = 'one', name = 'Shop'): Type {
  @Controller(path)
  class OneHandler {
    @Idempotent(options as IdempotentDeclaration)
    @Post()
    pay(@Operation() operation: IdempotentOperation): unknown {
      runs += 1;
      return { scope: operation.scope };
    }
  }
  Object.defineProperty(OneHandler, 'name', { value: name });
  return OneHandler;
}

describe.each(PLATFORMS)('booting on %s', (platform) => {
  let test: TestApp | undefined;
  beforeEach(() => {
    runs = 0;
  });
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  const start = async (options: AppOptions): Promise<TestApp> =>
    (test = await boot(platform, options));
  const scopeOf = async (app: TestApp, path: string, headers: Record<string, string> = {}) => {
    const reply = await app.send(path, { key: 'k', headers });
    expect([200, 201]).toContain(reply.status);
    return (reply.json() as { scope: string }).scope;
  };

  describe('the scope of a handler', () => {
    it('is its method and the template of its route', async () => {
      @Controller('goods')
      class Goods {
        @Idempotent()
        @Put(':id/categories/:categoryId')
        put(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope };
        }

        @Idempotent()
        @Patch()
        patch(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope };
        }
      }
      const app = await start({ controllers: [Goods] });
      const put = await app.send('/goods/1/categories/2', { method: 'PUT', key: 'k' });
      expect(put.json()).toEqual({ scope: 'PUT /goods/:id/categories/:categoryId' });
      const patch = await app.send('/goods', { method: 'PATCH', key: 'k' });
      expect(patch.json()).toEqual({ scope: 'PATCH /goods' });
    });

    it('has the global prefix, unless the route is excluded from it', async () => {
      const app = await start({
        controllers: [controllerWith({}), controllerWith({}, 'health', 'Health')],
        configure: (nest) => nest.setGlobalPrefix('api', { exclude: ['health'] }),
      });
      expect(await scopeOf(app, '/api/one')).toBe('POST /api/one');
      expect(await scopeOf(app, '/health')).toBe('POST /health');
    });

    it('has the prefix of RouterModule', async () => {
      @Module({ controllers: [controllerWith({})] })
      class Inner {}
      const app = await start({
        controllers: [],
        imports: [
          Inner,
          RouterModule.register([
            { path: 'outer', children: [{ path: ':tenant', module: Inner }] },
          ]),
        ],
        configure: (nest) => nest.setGlobalPrefix('api'),
      });
      expect(await scopeOf(app, '/api/outer/acme/one')).toBe('POST /api/outer/:tenant/one');
    });

    it('has the version of the URI', async () => {
      @Controller({ path: 'versioned', version: '1' })
      class Versioned {
        @Idempotent()
        @Post()
        first(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope };
        }

        @Version('2')
        @Idempotent()
        @Post()
        second(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope };
        }

        @Idempotent()
        @Version(VERSION_NEUTRAL)
        @Post()
        neutral(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope };
        }

        @Idempotent()
        @Version(['3', '4'])
        @Post()
        several(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope, run: ++runs };
        }
      }
      const app = await start({
        controllers: [Versioned],
        configure: (nest) =>
          nest.setGlobalPrefix('api').enableVersioning({ type: VersioningType.URI }),
      });
      expect(await scopeOf(app, '/api/v1/versioned')).toBe('POST /api/v1/versioned');
      expect(await scopeOf(app, '/api/v2/versioned')).toBe('POST /api/v2/versioned');
      expect(await scopeOf(app, '/api/versioned')).toBe('POST /api/versioned');
      expect(await scopeOf(app, '/api/v3/versioned')).toBe('POST /api/v3/versioned');
      expect(await scopeOf(app, '/api/v4/versioned')).toBe('POST /api/v4/versioned');
      expect(runs).toBe(2);
    });

    it('has the version of the header: two handlers on one path have records of their own', async () => {
      @Controller({ path: 'versioned' })
      class Versioned {
        @Version('1')
        @Idempotent()
        @Post()
        first(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope, handler: 1 };
        }

        @Version(['2', '3'])
        @Idempotent()
        @Post()
        second(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope, handler: 2 };
        }
      }
      const app = await start({
        controllers: [Versioned],
        configure: (nest) =>
          nest.enableVersioning({ type: VersioningType.HEADER, header: 'x-version' }),
      });
      const send = (version: string) =>
        app.send('/versioned', { key: 'k', headers: { 'x-version': version } });
      expect((await send('1')).json()).toEqual({
        scope: 'POST /versioned version 1',
        handler: 1,
      });
      expect((await send('2')).json()).toEqual({
        scope: 'POST /versioned version 2',
        handler: 2,
      });
    });

    it('has the host of the controller', async () => {
      @Controller({ path: 'hosted', host: 'shop.example.com' })
      class Hosted {
        @Idempotent()
        @Post()
        pay(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope };
        }
      }
      const app = await start({ controllers: [Hosted] });
      expect(await scopeOf(app, '/hosted', { host: 'shop.example.com' })).toBe(
        'POST /hosted host shop.example.com',
      );
    });

    it('is another one for every path of a handler', async () => {
      @Controller(['a', 'b'])
      class Several {
        @Idempotent()
        @Post(['x/:id', 'y/:id'])
        pay(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope, run: ++runs };
        }
      }
      const app = await start({
        controllers: [Several],
        configure: (nest) => nest.setGlobalPrefix('api'),
      });
      for (const path of ['a/x', 'a/y', 'b/x', 'b/y'])
        expect(await scopeOf(app, `/api/${path}/7`)).toBe(`POST /api/${path}/:id`);
      expect(runs).toBe(4);
      expectReplay(
        await app.send('/api/a/x/8', { key: 'again' }),
        await app.send('/api/a/x/8', { key: 'again' }),
      );
    });

    it('is the one that is given, which handlers may share', async () => {
      @Controller()
      class Sharing {
        @Idempotent({ scope: 'payments', fingerprint: false })
        @Post('old')
        old(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope, run: ++runs };
        }

        @Idempotent({ scope: 'payments', fingerprint: false })
        @Post('new')
        new(): unknown {
          return { run: ++runs };
        }
      }
      const app = await start({ controllers: [Sharing] });
      const first = await app.send('/old', { key: 'k' });
      expect(first.json()).toEqual({ scope: 'payments', run: 1 });
      expectReplay(first, await app.send('/new', { key: 'k' }));
    });
  });

  describe('a wrong option of a handler', () => {
    const wrong: [option: string, options: Record<string, unknown>][] = [
      ['ttl', { ttl: '10 parsecs' }],
      ['ttl', { ttl: 0 }],
      ['ttl', { ttl: '-1s' }],
      ['lease', { lease: 'soon' }],
      ['lease', { lease: Number.NaN }],
      ['wait', { wait: -1 }],
      ['wait', { wait: true }],
      ['retryAfter', { retryAfter: {} }],
      ['onDuplicate', { onDuplicate: 'ignore' }],
      ['onAbandoned', { onAbandoned: 'retry' }],
      ['onStoreFailure', { onStoreFailure: 'hope' }],
      ['onError', { onError: 'retry' }],
      ['onError', { onError: true }],
      ['onAbandoned', { onAbandoned: true }],
      ['principal', { principal: 'user.id' }],
      ['fingerprint', { fingerprint: true }],
      ['required', { required: 'yes' }],
      ['scope', { scope: '' }],
      ['scope', { scope: 7 }],
      ['key', { key: 'orderNo' }],
      ['key', { key: [] }],
      ['strategy', { strategy: 'nonesuch' }],
      ['tll', { tll: '1h' }],
      ['recover', { recover: () => 'rerun' }],
      ['acknowledge', { acknowledge: true }],
      ['stream', { stream: 'slowly' as 'hold' }],
    ];

    it.each(wrong)('stops the application: %s of %j', async (option, options) => {
      const error = await bootError(platform, {
        controllers: [controllerWith(options as IdempotentOptions)],
      });
      expect(isIdempotencyConfigurationError(error)).toBe(true);
      expect(error.message).toMatch(
        new RegExp(`^Idempotency option "${option} of Shop.pay" is .+\\. Accepted: .+\\. .+\\.$`),
      );
    });

    it.each<[option: string, options: object]>([
      ['header', { header: 'with spaces' }],
      ['header', { header: '' }],
      ['storeTimeout', { storeTimeout: 0 }],
      ['storeTimeout', { storeTimeout: '2 s' }],
      ['maxResponseBytes', { maxResponseBytes: '1MB' }],
      ['maxResponseBytes', { maxResponseBytes: -1 }],
      ['unrecordedHeaders', { unrecordedHeaders: 'X-Trace' }],
      ['unrecordedHeaders', { unrecordedHeaders: ['*'] }],
      ['unrecordedHeaders', { unrecordedHeaders: ['x y'] }],
      ['unrecordedHeaders', { unrecordedHeaders: ['Content-Type'] }],
      ['unrecordedHeaders', { unrecordedHeaders: ['content-*'] }],
      ['principal', { principal: 'sub' }],
      ['problemBaseUrl', { problemBaseUrl: 'docs' }],
      ['store', { store: {} }],
      ['store', { store: 'memory' }],
      ['store', { store: null }],
      ['allowMemoryStore', { allowMemoryStore: 'yes' }],
      ['heder', { heder: 'X' }],
      ['defaults.ttl', { defaults: { ttl: 'x' } }],
      ['defaults.wait', { defaults: { wait: 'x' } }],
      ['defaults.onDuplicate', { defaults: { onDuplicate: 'x' } }],
      ['defaults.nothing', { defaults: { nothing: 1 } }],
      ['defaults.key', { defaults: { key: body('orderNo') } }],
      ['defaults.scope', { defaults: { scope: 'all' } }],
      ['defaults', { defaults: 'none' }],
    ])('of the module stops it too, with no handler at all: %s of %j', async (option, options) => {
      const error = await bootError(platform, {
        controllers: [],
        idempotency: options as IdempotencyModuleOptions,
      });
      expect(error.message).toMatch(
        new RegExp(`^Idempotency option "${option}" is .+\\. Accepted: .+\\. .+\\.$`),
      );
      expect(isIdempotencyConfigurationError(error)).toBe(true);
    });

    it('is found under the options of the class and the defaults of the module', async () => {
      @Idempotent({ lease: 'x' as '1s' })
      @Controller()
      class Wrong {
        @Post()
        pay(): void {}
      }
      const error = await bootError(platform, { controllers: [Wrong] });
      expect(error.message).toContain('"lease of Wrong.pay" is "x"');
    });
  });

  describe('a handler that cannot be protected', () => {
    it('stops the application when it sends events', async () => {
      @Controller()
      class Events {
        @Idempotent()
        @Sse('events')
        events(): Observable<never> {
          return EMPTY;
        }
      }
      const error = await bootError(platform, { controllers: [Events] });
      expect(error).toBeInstanceOf(IdempotencyConfigurationError);
      expect(error.message).toContain('Events.events');
      expect(error.message).toContain('@Sse()');
    });

    it('stops the application when it is no route', async () => {
      @Controller()
      class NoRoute {
        @Idempotent()
        helper(): void {}
      }
      const error = await bootError(platform, { controllers: [NoRoute] });
      expect(error.message).toMatch(/NoRoute\.helper.+Accepted: .+IdempotencyService/);
    });

    it('stops the application when it is a class that is no controller', async () => {
      @Idempotent()
      @Injectable()
      class Service {
        work(): void {}
      }
      const error = await bootError(platform, { controllers: [], providers: [Service] });
      expect(error.message).toMatch(/is "Service"\. Accepted: .+/);
    });

    it('stops the application when another decorator replaced it without its metadata', async () => {
      const logged: MethodDecorator = (_target, _name, descriptor: PropertyDescriptor) => {
        const original = descriptor.value as (...args: unknown[]) => unknown;
        descriptor.value = function (this: unknown, ...args: unknown[]) {
          return original.apply(this, args);
        };
      };
      @Controller()
      class Replaced {
        @Post()
        @logged
        @Idempotent()
        pay(): void {}
      }
      const error = await bootError(platform, { controllers: [Replaced] });
      expect(error.message).toMatch(/"Replaced\.pay".+Put @Idempotent\(\) above/);
    });

    it('stops the application when a class overrides what its parent protects', async () => {
      @Idempotent()
      class Base {
        @Post()
        pay(): void {}
      }
      @Controller()
      class Derived extends Base {
        @Post()
        override pay(): void {}
      }
      const error = await bootError(platform, { controllers: [Derived] });
      expect(error.message).toMatch(/Derived\.pay, which overrides.+on the override/);
    });

    it('is warned about when it only reads', async () => {
      @Controller()
      class Reading {
        @Idempotent()
        @Get()
        read(): number {
          return ++runs;
        }
      }
      const { complaints } = await start({ controllers: [Reading] });
      expect(complaints.join()).toContain('@Idempotent() on Reading.read has no effect');
    });
  });

  describe('the decorator', () => {
    it('on a class covers the routes that change state, and no others', async () => {
      const store = new FaultInjectingStore(new MemoryStore());
      @Idempotent({ onDuplicate: 'reject' })
      @Controller('class')
      class Covered {
        @Get()
        get(): number {
          return ++runs;
        }

        @Post()
        post(): number {
          return this.helper();
        }

        @All('all')
        all(): number {
          return this.helper();
        }

        @Idempotent({ key: header('X-Other'), required: undefined })
        @Put()
        put(): number {
          return this.helper();
        }

        helper(): number {
          return ++runs;
        }
      }
      const app = await start({ controllers: [Covered], idempotency: { store } });
      expect((await app.send('/class', { method: 'GET' })).text).toBe('1');
      expect((await app.send('/class/all', { method: 'GET', key: 'k' })).text).toBe('2');
      expect(store.count()).toBe(0);
      for (const [path, method] of [
        ['/class', 'POST'],
        ['/class/all', 'PATCH'],
      ] as const) {
        expect((await app.send(path, { method, key: 'k' })).status).toBeLessThan(300);
        expectProblem(await app.send(path, { method, key: 'k' }), 409, 'IDEMPOTENCY_DUPLICATE');
      }
      const put = () => app.send('/class', { method: 'PUT', headers: { 'x-other': 'k' } });
      expect((await put()).text).toBe('5');
      expectProblem(await put(), 409, 'IDEMPOTENCY_DUPLICATE');
    });

    it('merges options: handler over class over module', async () => {
      @Idempotent({ retryAfter: '5s', required: false })
      @Controller()
      class Merged {
        @Post('class')
        ofClass(): number {
          return ++runs;
        }

        @Idempotent({ required: true })
        @Post('method')
        ofMethod(): number {
          return ++runs;
        }
      }
      const app = await start({
        controllers: [Merged, controllerWith({})],
        idempotency: { defaults: { onDuplicate: 'reject', required: false } },
      });
      for (const path of ['/class', '/method', '/one']) {
        expect((await app.send(path, { key: 'k' })).status).toBe(201);
        expectProblem(await app.send(path, { key: 'k' }), 409, 'IDEMPOTENCY_DUPLICATE');
      }
      expect((await app.send('/class')).status).toBe(201);
      expect((await app.send('/one')).status).toBe(201);
      expectProblem(await app.send('/method'), 400, 'IDEMPOTENCY_KEY_REQUIRED');
    });

    it('protects what several controllers inherit, each with records of its own', async () => {
      abstract class Base {
        @Idempotent()
        @Post(':id')
        pay(@Param('id') id: string, @Operation() { scope }: IdempotentOperation): unknown {
          return { id, scope, run: ++runs, by: this.constructor.name };
        }

        @Post('plain')
        plain(): number {
          return ++runs;
        }
      }
      @Controller('first')
      class First extends Base {}
      @Idempotent({ onDuplicate: 'reject' })
      @Controller('second')
      class Second extends Base {}

      const app = await start({ controllers: [First, Second] });
      const first = await app.send('/first/1', { key: 'k' });
      expect(first.json()).toEqual({ id: '1', scope: 'POST /first/:id', run: 1, by: 'First' });
      expectReplay(first, await app.send('/first/1', { key: 'k' }));
      const second = await app.send('/second/1', { key: 'k' });
      expect(second.json()).toEqual({ id: '1', scope: 'POST /second/:id', run: 2, by: 'Second' });
      expectProblem(await app.send('/second/1', { key: 'k' }), 409, 'IDEMPOTENCY_DUPLICATE');
      expect((await app.send('/first/plain', { method: 'POST' })).status).not.toBe(500);
    });

    it('protects controllers that are made for every request', async () => {
      @Controller({ path: 'scoped', scope: Scope.REQUEST })
      class RequestScoped {
        private readonly number = ++runs;

        @Idempotent({ key: param('id') })
        @Post(':id')
        pay(@Body() given: unknown, @Operation() operation: IdempotentOperation): unknown {
          return { number: this.number, given, key: operation.key };
        }
      }
      const app = await start({ controllers: [RequestScoped] });
      const send = () => app.send('/scoped/7', { body: { a: 1 } });
      const first = await send();
      expect(first.json()).toEqual({ number: 1, given: { a: 1 }, key: '7' });
      expectReplay(first, await send());
    });

    it('keeps the metadata of the decorators around it', async () => {
      const seen: unknown[] = [];
      class Roles {
        constructor(private readonly reflector = new Reflector()) {}

        canActivate(context: Parameters<import('@nestjs/common').CanActivate['canActivate']>[0]) {
          const handler = context.getHandler();
          seen.push(this.reflector.get('above', handler), this.reflector.get('below', handler));
          seen.push(handler.name);
          return true;
        }
      }
      @Controller('metadata')
      class WithMetadata {
        @SetMetadata('above', 1)
        @Header('X-Above', 'a')
        @HttpCode(207)
        @Idempotent()
        @UseGuards(Roles)
        @Header('X-Below', 'b')
        @SetMetadata('below', 2)
        @Post()
        pay(): number {
          return ++runs;
        }
      }
      const app = await start({ controllers: [WithMetadata] });
      const send = () => app.send('/metadata', { key: 'k' });
      const first = await send();
      expect(first).toMatchObject({ status: 207, headers: { 'x-above': 'a', 'x-below': 'b' } });
      expectReplay(first, await send());
      expect(seen).toEqual([1, 2, 'pay', 1, 2, 'pay']);
    });

    it.each(['above', 'below'])(
      'works with a decorator that wraps the method %s',
      async (where) => {
        let wrapped = 0;
        const traced: MethodDecorator = (_target, _name, descriptor: PropertyDescriptor) => {
          const original = descriptor.value as (...args: unknown[]) => unknown;
          const wrapper = function (this: unknown, ...args: unknown[]) {
            wrapped += 1;
            return original.apply(this, args);
          };
          for (const key of Reflect.getMetadataKeys(original))
            Reflect.defineMetadata(key, Reflect.getMetadata(key, original), wrapper);
          descriptor.value = wrapper;
        };
        const nothing: MethodDecorator = () => undefined;
        const [above, below] = where === 'above' ? [traced, nothing] : [nothing, traced];

        @Controller('wrapped')
        class Wrapped {
          @above
          @Idempotent()
          @below
          @Post()
          pay(): number {
            return ++runs;
          }

          @above
          @Idempotent()
          @below
          @Post('failing')
          failing(): never {
            runs += 1;
            throw new Error('released');
          }
        }
        const app = await start({ controllers: [Wrapped] });
        expectReplay(
          await app.send('/wrapped', { key: 'k' }),
          await app.send('/wrapped', { key: 'k' }),
        );
        expect({ runs, wrapped }).toEqual({ runs: 1, wrapped: 1 });
        for (const _call of [1, 2])
          expect((await app.send('/wrapped/failing', { key: 'k' })).status).toBe(500);
        expect(runs).toBe(3);
      },
    );
  });

  describe('the module', () => {
    @Module({
      providers: [{ provide: 'SHARED', useFactory: () => new MemoryStore() }],
      exports: ['SHARED'],
    })
    class Shared {}

    @Injectable()
    class Options {
      createIdempotencyOptions(): IdempotencyModuleOptions {
        return { header: 'X-Key' };
      }
    }
    @Module({ providers: [Options], exports: [Options] })
    class OptionsModule {}

    const asyncApp = (async: Parameters<typeof IdempotencyModule.forRootAsync>[0]) => {
      @Module({
        imports: [IdempotencyModule.forRootAsync(async)],
        controllers: [controllerWith({})],
      })
      class AsyncModule {}
      return AsyncModule;
    };

    const bootModule = async (module: Type) => {
      const app = await NestFactory.createApplicationContext(module, {
        logger: false,
        abortOnError: false,
      });
      return app;
    };

    it('takes a store from a factory with what other modules provide', async () => {
      const store = new FaultInjectingStore(new MemoryStore());
      const given: unknown[] = [];
      const app = await start({
        controllers: [controllerWith({})],
        idempotency: {
          imports: [Shared],
          store: {
            inject: ['SHARED', { token: 'ABSENT', optional: true }],
            useFactory: async (...dependencies: never[]) => {
              given.push(...dependencies);
              return Promise.resolve(store);
            },
          },
        },
      });
      expectReplay(await app.send('/one', { key: 'k' }), await app.send('/one', { key: 'k' }));
      expect(given).toEqual([expect.any(MemoryStore), undefined]);
      expect(store.count('acquire')).toBe(2);
    });

    it.each([
      [
        'useFactory',
        {
          imports: [OptionsModule],
          inject: [Options],
          useFactory: (o: Options) => o.createIdempotencyOptions(),
        },
      ],
      ['useClass', { useClass: Options }],
      ['useExisting', { imports: [OptionsModule], useExisting: Options }],
    ])('takes its options from %s', async (_name, options) => {
      const app = await start({
        controllers: [controllerWith({})],
        module: IdempotencyModule.forRootAsync(
          options as Parameters<typeof IdempotencyModule.forRootAsync>[0],
        ),
      });
      expectProblem(await app.send('/one', { key: 'k' }), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      const send = () => app.send('/one', { headers: { 'x-key': 'k' } });
      expectReplay(await send(), await send());
    });

    it('is there for all others, unless told otherwise', async () => {
      @Injectable()
      class Elsewhere {
        constructor(readonly idempotency: IdempotencyService) {}
      }
      @Module({ providers: [Elsewhere] })
      class Feature {}
      const root = (isGlobal?: boolean) => {
        @Module({ imports: [IdempotencyModule.forRoot({ isGlobal }), Feature] })
        class Root {}
        return Root;
      };
      const app = await bootModule(root());
      expect(app.get(Elsewhere, { strict: false }).idempotency).toBeInstanceOf(IdempotencyService);
      await app.close();
      await expect(bootModule(root(false))).rejects.toThrow(/resolve dependencies/);
    });

    it('shows no value of an option in the log', async () => {
      const store = { password: 'hunter2' } as unknown as MemoryStore;
      const error = await bootModule(asyncApp({ useFactory: () => ({ store }) })).catch(
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(IdempotencyConfigurationError);
      expect(inspect(error, { depth: 10 })).not.toContain('hunter2');
      expect(JSON.stringify(error)).toBe(
        '{"name":"IdempotencyConfigurationError","option":"store"}',
      );
    });

    it('refuses a factory that a factory returns', async () => {
      const options = { useFactory: () => ({ store: { useFactory: () => new MemoryStore() } }) };
      await expect(bootModule(asyncApp(options))).rejects.toThrow(/"store" is .+forRootAsync/);
    });

    it('checks options that come from a factory', async () => {
      await expect(
        bootModule(asyncApp({ useFactory: () => ({ header: 'no good' }) })),
      ).rejects.toThrow(/"header" is "no good"/);
    });
  });

  describe('in production', () => {
    const { NODE_ENV } = process.env;
    beforeEach(() => {
      process.env.NODE_ENV = 'production';
    });
    afterEach(() => {
      process.env.NODE_ENV = NODE_ENV;
    });

    it.each<[string, IdempotencyModuleOptions]>([
      ['by default', {}],
      ['when it is given', { store: new MemoryStore() }],
      ['from a factory', { store: { useFactory: () => new MemoryStore() } }],
    ])('the memory store must be allowed by name: %s', async (_name, options) => {
      const error = await bootError(platform, { controllers: [], idempotency: options });
      expect(error.message).toMatch(
        /"store" is .+Accepted: with NODE_ENV=production.+allowMemoryStore/,
      );
      await start({ controllers: [], idempotency: { ...options, allowMemoryStore: true } });
    });

    it('a store that says nothing of itself is trusted', async () => {
      await start({
        controllers: [],
        idempotency: { store: Object.assign(new MemoryStore(), { isVolatile: false }) },
      });
      expect(test).toBeDefined();
    });
  });
});

/** Keys that are there once for everybody. */
@IdempotencyStrategy('once-for-all')
class OnceForAll implements IdempotencyStrategyContract {
  readonly planned: string[] = [];

  plan({ handler, options }: StrategyContext): StrategyPlan {
    this.planned.push(`${handler} ${String(options.ttl)}`);
    return { key: () => 'the only one', comparesContent: false, keepsReply: true };
  }
}

/** Mutual exclusion only. */
@IdempotencyStrategy('nothing-kept')
class NothingKept implements IdempotencyStrategyContract {
  plan(): StrategyPlan {
    return { key: () => 'the only one', comparesContent: false, keepsReply: false };
  }
}

declare module 'nestjs-idempotency' {
  interface IdempotencyStrategies {
    'once-for-all': true;
    'nothing-kept': true;
  }
}

describe.each(PLATFORMS)('an application on %s', (platform) => {
  let test: TestApp | undefined;
  beforeEach(() => {
    runs = 0;
  });
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  const start = async (options: AppOptions): Promise<TestApp> =>
    (test = await boot(platform, options));

  it('uses the strategies of its providers', async () => {
    @Controller()
    class Strategies {
      @Idempotent({ strategy: 'once-for-all', ttl: '5s' })
      @Post('once')
      once(): number {
        return ++runs;
      }

      @Idempotent({ strategy: 'nothing-kept' })
      @Post('nothing')
      nothing(): number {
        return ++runs;
      }
    }
    const app = await start({ controllers: [Strategies], providers: [OnceForAll, NothingKept] });
    expect(app.app.get(OnceForAll).planned).toEqual(['Strategies.once 5s']);
    expectReplay(
      await app.send('/once', { body: { a: 1 } }),
      await app.send('/once', { body: { a: 2 } }),
    );
    expect(runs).toBe(1);
    for (const run of ['2', '3']) expect((await app.send('/nothing')).text).toBe(run);
  });

  // Fastify has no names for wildcards.
  it.each(platform === 'express' ? ['*', '*rest', '{*rest}'] : ['*'])(
    'keeps the records of routes with wildcards apart: %s',
    async (wildcard) => {
      @Controller()
      class Wild {
        @Idempotent({ fingerprint: false })
        @Post([`files/${wildcard}`, `docs/${wildcard}`, 'plain'])
        save(@Operation() { scope }: IdempotentOperation): unknown {
          return { scope, run: ++runs };
        }
      }
      const app = await start({ controllers: [Wild] });
      const save = async (path: string) => (await app.send(path, { key: 'k' })).json();
      expect(await save('/files/a/b')).toEqual({ scope: `POST /files/${wildcard}`, run: 1 });
      expect(await save('/docs/a/b')).toEqual({ scope: `POST /docs/${wildcard}`, run: 2 });
      expect(await save('/plain')).toEqual({ scope: 'POST /plain', run: 3 });
    },
  );

  it('keeps records of its own beside another one with the same controllers', async () => {
    const controllers = [controllerWith({})];
    const [one, other] = [
      await boot(platform, { controllers }),
      await boot(platform, { controllers }),
    ];
    try {
      for (const app of [one, other])
        expectReplay(await app.send('/one', { key: 'k' }), await app.send('/one', { key: 'k' }));
      expect(runs).toBe(2);
      await one.close();
      expect((await other.send('/one', { key: 'l' })).status).toBe(201);
    } finally {
      await Promise.all([one, other].map((app) => app.close()));
    }
  });

  it('protects a handler with its own `this`, its arguments and whatever it returns', async () => {
    let asked = 0;
    /** As query builders are: nothing happens before somebody asks. */
    const lazy = (): PromiseLike<string> => ({
      // oxlint-disable-next-line unicorn/no-thenable -- what query builders are
      then(fulfilled, rejected) {
        asked += 1;
        return Promise.resolve(`asked ${asked}`).then(fulfilled, rejected);
      },
    });

    @Controller()
    class Shop {
      private readonly prefix = 'shop';

      @Idempotent()
      @Post('this/:id')
      own(@Param('id') id: string, @Body() given: unknown): unknown {
        return { prefix: this.prefix, id, given, count: ++runs };
      }

      @Idempotent()
      @Post('lazy')
      lazy(): PromiseLike<string> {
        return lazy();
      }

      @Idempotent()
      @Post('direct')
      direct(): unknown {
        return [this.own('inside', 1), this.own('again', 2)];
      }
    }
    const app = await start({ controllers: [Shop] });
    const own = await app.send('/this/7', { key: 'k', body: { a: 1 } });
    expect(own.json()).toEqual({ prefix: 'shop', id: '7', given: { a: 1 }, count: 1 });

    const first = await app.send('/lazy', { key: 'k' });
    expect(first.text).toBe('asked 1');
    expectReplay(first, await app.send('/lazy', { key: 'k' }));
    expect(asked).toBe(1);

    const shop = app.app.get(Shop);
    expect(() => shop.own('a', 1)).toThrow('IDEMPOTENCY_NOT_PROTECTED');
    const twice = unprotected(() => [shop.own('a', 1), shop.own('a', 1)]);
    expect(twice).toMatchObject([{ count: 2 }, { count: 3 }]);
    // A handler that another one calls is a part of its operation.
    expect((await app.send('/direct', { key: 'k' })).json()).toMatchObject([
      { id: 'inside', count: 4 },
      { id: 'again', count: 5 },
    ]);
  });

  it('protects what a decorated controller inherits from a plain class', async () => {
    class Base {
      @Post('inherited')
      inherited(): unknown {
        return { run: ++runs, by: this.constructor.name };
      }

      @Get('inherited')
      read(): number {
        return ++runs;
      }
    }
    @Idempotent()
    @Controller('protected')
    class Protected extends Base {}
    @Controller('plain')
    class Plain extends Base {}

    const app = await start({ controllers: [Protected, Plain] });
    const send = (path: string) => app.send(`/${path}/inherited`, { key: 'k' });
    const first = await send('protected');
    expect(first.json()).toEqual({ run: 1, by: 'Protected' });
    expectReplay(first, await send('protected'));
    expect((await send('plain')).json()).toEqual({ run: 2, by: 'Plain' });
    expect((await send('plain')).json()).toEqual({ run: 3, by: 'Plain' });
  });

  it('keeps apart handlers of the same name in classes of the same name', async () => {
    const app = await start({
      controllers: [controllerWith({}, 'one', 'Payments'), controllerWith({}, 'two', 'Payments')],
    });
    for (const path of ['one', 'two'])
      expect((await app.send(`/${path}`, { key: 'k' })).json()).toEqual({ scope: `POST /${path}` });
    expect(runs).toBe(2);
  });

  it.each<[string, Type]>([
    ['by GET', sse()],
    ['by POST', sse({ method: RequestMethod.POST })],
    ['with the decorators the other way round', sse({}, true)],
  ])('refuses to protect events that are sent %s', async (_name, controller) => {
    const error = await bootError(platform, { controllers: [controller] });
    expect(error.message).toMatch(
      /Events\.events, an @Sse\(\) handler.+Accepted: .+reply ends\. .+\.$/,
    );
  });

  it('refuses a wrong fingerprint also where the key is the content', async () => {
    const error = await bootError(platform, {
      controllers: [controllerWith({ key: signature(), fingerprint: 'body' as unknown as false })],
    });
    expect(error.message).toContain('option "fingerprint of Shop.pay" is "body"');
  });

  describe('with a store', () => {
    /** Says what is done to it. */
    class TalkingStore extends FaultInjectingStore {
      readonly said: string[] = [];

      override start(warn: (warning: string) => void): void {
        this.said.push('started');
        warn('Records may be evicted.');
      }

      override async close(): Promise<void> {
        await Promise.resolve();
        this.said.push(`closed after ${this.count('complete')} completions`);
      }
    }

    it('starts it, logs what it warns of, and closes it in the end', async () => {
      const store = new TalkingStore(new MemoryStore());
      const app = await start({ controllers: [controllerWith({})], idempotency: { store } });
      expect(store.said).toEqual(['started']);
      expect(app.complaints.join()).toContain('Records may be evicted.');
      await app.send('/one', { key: 'k' });
      await app.close();
      expect(store.said).toEqual(['started', 'closed after 1 completions']);
    });

    it('does not boot when it does not start', async () => {
      const store = new TalkingStore(new MemoryStore());
      store.start = () => {
        throw new Error('no such table');
      };
      const error = await bootError(platform, { controllers: [], idempotency: { store } });
      expect(error.message).toBe('no such table');
    });

    it('tells it what is left to tell before it closes it', async () => {
      const store = new TalkingStore(new MemoryStore());
      const app = await start({ controllers: [controllerWith({})], idempotency: { store } });
      store.next('complete', failBefore());
      expect((await app.send('/one', { key: 'k' })).status).toBe(201);
      await app.close();
      expect(store.said.at(-1)).toBe('closed after 2 completions');
      expect(await store.find(idOf(store))).toMatchObject({ state: 'completed' });
    });

    const idOf = (store: FaultInjectingStore): string =>
      (store.calls.find(({ verb }) => verb === 'acquire')!.argument as { id: string }).id;

    it.each<[string, unknown]>([
      ['nothing', undefined],
      ['something else', { get: () => undefined }],
    ])('from a factory refuses %s', async (_name, made) => {
      const useFactory = (async () => Promise.resolve(made)) as () => Promise<MemoryStore>;
      const error = await bootError(platform, {
        controllers: [],
        idempotency: { store: { useFactory } },
      });
      expect(error.message).toMatch(/^Idempotency option "store" is .+\. Accepted: .+\. .+\.$/);
    });

    it('refuses a factory that is no function', async () => {
      const error = await bootError(platform, {
        controllers: [],
        idempotency: { store: { useFactory: 'memory' as unknown as () => MemoryStore } },
      });
      expect(error.message).toMatch(/^Idempotency option "store" is .+\. Accepted: .+\. .+\.$/);
    });
  });

  it.each(['useFactory', 'useClass', 'useExisting'] as const)(
    'works by the options of %s',
    async (kind) => {
      const store = new FaultInjectingStore(new MemoryStore());
      @Injectable()
      class Options {
        createIdempotencyOptions(): IdempotencyModuleOptions {
          return { header: 'X-Key', store, principal: () => 'everybody' };
        }
      }
      @Module({ providers: [Options], exports: [Options] })
      class OptionsModule {}
      const given = {
        useFactory: {
          imports: [OptionsModule],
          inject: [Options],
          useFactory: async (options: Options) =>
            Promise.resolve(options.createIdempotencyOptions()),
        },
        useClass: { useClass: Options },
        useExisting: { imports: [OptionsModule], useExisting: Options },
      }[kind];
      const app = await start({
        controllers: [controllerWith({})],
        module: IdempotencyModule.forRootAsync(given),
      });
      const send = () => app.send('/one', { headers: { 'x-key': 'k' } });
      expectReplay(await send(), await send());
      expectProblem(await app.send('/one', { key: 'k' }), 400, 'IDEMPOTENCY_KEY_REQUIRED');
      expect(store.count('acquire')).toBe(2);
    },
  );
});

function sse(options?: Parameters<typeof Sse>[1], isBelow = false): Type {
  const [above, below] = isBelow
    ? [Idempotent(), Sse('events', options)]
    : [Sse('events', options), Idempotent()];
  @Controller()
  class Events {
    @above
    @below
    events(): Observable<never> {
      return EMPTY;
    }
  }
  return Events;
}

// Fastify itself refuses a second handler on one route.
describe('two handlers on one route of Express', () => {
  it('must be given a scope', async () => {
    const error = await bootError('express', {
      controllers: [controllerWith({}, 'same', 'First'), controllerWith({}, 'same', 'Second')],
    });
    expect(error).toBeInstanceOf(IdempotencyConfigurationError);
    expect(error.message).toContain('"POST /same"');
    expect(error.message).toContain('First.pay');
    expect(error.message).toContain('Second.pay');
  });

  it('are told apart when their classes have the same name', async () => {
    const error = await bootError('express', {
      controllers: [controllerWith({}, 'same'), controllerWith({}, 'same')],
    });
    expect(error).toBeInstanceOf(IdempotencyConfigurationError);
  });

  it('may have the scope that they are given', async () => {
    const own = [
      controllerWith({ scope: 'a' }, 'same', 'First'),
      controllerWith({}, 'same', 'Second'),
    ];
    await (await boot('express', { controllers: own })).close();
    expect(own).toHaveLength(2);
  });

  it('may be one, of a controller in two modules', async () => {
    const shared = controllerWith({});
    @Module({ controllers: [shared] })
    class Another {}
    const test = await boot('express', { controllers: [shared], imports: [Another] });
    expect((await test.send('/one', { key: 'k' })).json()).toEqual({ scope: 'POST /one' });
    await test.close();
  });
});
