import {
  All,
  Body,
  Controller,
  Get,
  Injectable,
  Module,
  type OnModuleInit,
  Post,
  Scope,
  type Type,
} from '@nestjs/common';
import { APP_INTERCEPTOR, DiscoveryModule, DiscoveryService, RouterModule } from '@nestjs/core';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { arg, IdempotencyModule, Idempotent, messageId, param, payload } from 'nestjs-idempotency';
import { IdempotencyInterceptor } from 'nestjs-idempotency/contracts';
import {
  type AppOptions,
  boot,
  bootError,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

type Method = (this: unknown, ...args: unknown[]) => unknown;

let runs = 0;

const NOT_PROTECTED = { status: 500, code: 'IDEMPOTENCY_NOT_PROTECTED', retryable: false };

/** As instrumentation does: a function of its own, with all metadata of the one it calls. */
function wrapped(original: Method, withMetadata = true): Method {
  const wrapper: Method = function (...args) {
    return original.apply(this, args);
  };
  if (!withMetadata) return wrapper;
  for (const key of Reflect.getMetadataKeys(original))
    Reflect.defineMetadata(key, Reflect.getMetadata(key, original), wrapper);
  return wrapper;
}

function payments(): Type {
  @Controller('payments')
  class Payments {
    @Idempotent()
    @Post()
    pay(@Body() given: unknown): unknown {
      return { run: ++runs, given };
    }
  }
  return Payments;
}

/** A module that wraps the handler at some moment while the application boots. */
function wrapping(
  controller: Type,
  where: 'prototype' | 'instance',
  when: 'constructor' | 'onModuleInit',
  withMetadata = true,
): Type {
  @Injectable()
  class Wrapper implements OnModuleInit {
    constructor(private readonly discovery: DiscoveryService) {
      if (when === 'constructor') this.wrap();
    }

    onModuleInit(): void {
      if (when === 'onModuleInit') this.wrap();
    }

    private wrap(): void {
      const found = this.discovery.getControllers().find(({ metatype }) => metatype === controller);
      const target = (where === 'prototype' ? controller.prototype : found!.instance) as {
        pay: Method;
      };
      target.pay = wrapped(target.pay, withMetadata);
    }
  }

  @Module({ imports: [DiscoveryModule], providers: [Wrapper] })
  class WrappingModule {}
  return WrappingModule;
}

describe.each(PLATFORMS)('a handler on %s', (platform) => {
  let test: TestApp | undefined;
  beforeEach(() => {
    runs = 0;
  });
  afterEach(async () => {
    await test?.close();
    test = undefined;
  });

  async function start(options: AppOptions): Promise<TestApp> {
    test = await boot(platform, options);
    return test;
  }

  /** Everything that makes a handler protected. */
  async function expectProtected(app: TestApp, path = '/payments'): Promise<void> {
    const first = await app.send(path, { key: 'k', body: { amount: 1 } });
    expect(first.json()).toEqual({ run: 1, given: { amount: 1 } });
    expectReplay(first, await app.send(path, { key: 'k', body: { amount: 1 } }));
    expectProblem(
      await app.send(path, { key: 'k', body: { amount: 2 } }),
      422,
      'IDEMPOTENCY_KEY_REUSED',
    );
    expectProblem(await app.send(path, { body: {} }), 400, 'IDEMPOTENCY_KEY_REQUIRED');
    expect(runs).toBe(1);
  }

  it.each([
    ['prototype', 'constructor', 'before'],
    ['prototype', 'constructor', 'after'],
    ['prototype', 'onModuleInit', 'before'],
    ['prototype', 'onModuleInit', 'after'],
    ['instance', 'constructor', 'before'],
    ['instance', 'constructor', 'after'],
    ['instance', 'onModuleInit', 'before'],
    ['instance', 'onModuleInit', 'after'],
  ] as const)(
    'is protected when its %s is wrapped in %s, by a module %s ours',
    async (where, when, order) => {
      const controller = payments();
      const aop = wrapping(controller, where, when);
      const own = IdempotencyModule.forRoot();
      const [module, imports] = order === 'before' ? [{ module: aop }, [own]] : [own, [aop]];
      await expectProtected(await start({ controllers: [controller], module, imports }));
    },
  );

  it('is protected when each request gets another function that is wrapped', async () => {
    @Controller({ path: 'payments', scope: Scope.REQUEST })
    class PerRequest {
      constructor() {
        const { pay } = this;
        this.pay = wrapped(pay as Method) as typeof pay;
      }

      @Idempotent()
      @Post()
      pay(@Body() given: unknown): unknown {
        return { run: ++runs, given };
      }
    }
    await expectProtected(await start({ controllers: [PerRequest] }));
  });

  it('stops the application when what wraps it hides its metadata', async () => {
    const controller = payments();
    const hiding = wrapping(controller, 'prototype', 'constructor', false);
    const error = await bootError(platform, { controllers: [controller], imports: [hiding] });
    expect(error.message).toMatch(/Payments\.pay.+copy its metadata/);
  });

  it('stops the application when a function without its metadata takes its place on the object', async () => {
    const controller = payments();
    const hiding = wrapping(controller, 'instance', 'onModuleInit', false);
    const error = await bootError(platform, { controllers: [controller], imports: [hiding] });
    expect(error.message).toMatch(/Payments\.pay, which the object replaces/);
  });

  it('stops the application when its object binds it', async () => {
    @Controller('payments')
    class Bound {
      constructor() {
        this.pay = this.pay.bind(this);
      }

      @Idempotent()
      @Post()
      pay(): unknown {
        return { run: ++runs };
      }
    }
    const error = await bootError(platform, { controllers: [Bound] });
    expect(error.message).toMatch(/Bound\.pay, which the object replaces.+Bind it where/);
  });

  it('is refused, and says why, when the object of a request binds it', async () => {
    @Controller({ path: 'payments', scope: Scope.REQUEST })
    class BoundPerRequest {
      constructor() {
        this.pay = this.pay.bind(this);
      }

      @Idempotent()
      @Post()
      pay(): unknown {
        return { run: ++runs };
      }
    }
    const app = await start({ controllers: [BoundPerRequest] });
    expect((await app.send('/payments', { key: 'k' })).json()).toMatchObject(NOT_PROTECTED);
    expect(runs).toBe(0);
    expect(app.complaints.join('\n')).toMatch(/BoundPerRequest\.pay has @Idempotent\(\)/);
  });

  it('stops the application when an override leaves the decorator out', async () => {
    class Base {
      @Idempotent()
      @Post()
      pay(): unknown {
        return { run: ++runs };
      }
    }
    @Controller('payments')
    class Logged extends Base {
      @Post()
      override pay(): unknown {
        return super.pay();
      }
    }
    const error = await bootError(platform, { controllers: [Logged] });
    expect(error.message).toMatch(
      /Logged\.pay, which overrides.+Put @Idempotent\(\) on the override/,
    );
  });

  it('is one operation with what it overrides', async () => {
    class Base {
      @Idempotent({ ttl: '1s' })
      @Post()
      pay(given: unknown): unknown {
        return { run: ++runs, given };
      }
    }
    @Controller('payments')
    class Logged extends Base {
      @Idempotent()
      @Post()
      override async pay(@Body() given: unknown): Promise<unknown> {
        await Promise.resolve();
        return super.pay(given);
      }
    }
    await expectProtected(await start({ controllers: [Logged] }));
  });

  it('is refused when code of the application calls it', async () => {
    const Payments = payments();
    @Controller('batches')
    class Batches {
      constructor(private readonly payments: { pay(given: unknown): unknown }) {}

      @Post()
      all(): unknown {
        return this.payments.pay({});
      }

      @Idempotent()
      @Post('protected')
      protectedAll(): unknown {
        return this.payments.pay({});
      }
    }
    Reflect.defineMetadata('design:paramtypes', [Payments], Batches);
    const app = await start({ controllers: [Payments, Batches], providers: [Payments] });
    expect((await app.send('/batches')).json()).toMatchObject(NOT_PROTECTED);
    expect(runs).toBe(0);
    const first = await app.send('/batches/protected', { key: 'k' });
    expect(first.json()).toMatchObject({ run: 1 });
    expectReplay(first, await app.send('/batches/protected', { key: 'k' }));
  });

  it('only reads under some methods, and is protected under the others', async () => {
    @Controller('payments')
    class Every {
      @Idempotent()
      @All()
      any(@Body() given: unknown): unknown {
        return { run: ++runs, given };
      }

      @Get('list')
      list(): number {
        return runs;
      }
    }
    const app = await start({
      controllers: [Every],
      providers: [{ provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor }],
    });
    expect((await app.send('/payments', { method: 'GET' })).status).toBe(200);
    expect((await app.send('/payments/list', { method: 'GET' })).text).toBe('1');
    runs = 0;
    await expectProtected(app);
  });

  it('has records of its own under each path that its module is mounted at', async () => {
    @Controller('payments')
    class Payments {
      @Idempotent()
      @Post()
      pay(): unknown {
        return { run: ++runs };
      }
    }
    @Module({ controllers: [Payments] })
    class Europe {}
    @Module({ controllers: [Payments] })
    class America {}
    const app = await start({
      controllers: [],
      imports: [
        Europe,
        America,
        RouterModule.register([
          { path: 'eu', module: Europe },
          { path: 'us', module: America },
        ]),
      ],
    });
    const eu = await app.send('/eu/payments', { key: 'k' });
    const us = await app.send('/us/payments', { key: 'k' });
    expect([eu.json(), us.json()]).toEqual([{ run: 1 }, { run: 2 }]);
    expectReplay(eu, await app.send('/eu/payments', { key: 'k' }));
    expectReplay(us, await app.send('/us/payments', { key: 'k' }));
  });

  it('stops the application when a scope that was given is the one another handler has by itself', async () => {
    @Controller('payments')
    class Payments {
      @Idempotent()
      @Post()
      pay(): void {}

      @Idempotent({ scope: 'POST /payments' })
      @Post('again')
      again(): void {}
    }
    const error = await bootError(platform, { controllers: [Payments] });
    expect(error.message).toMatch(/scope of Payments\.again.+Payments\.pay has this one/);
  });

  it('stops the application with a key that its calls cannot have', async () => {
    @Controller()
    class Messages {
      @Idempotent({ key: payload('id') })
      @EventPattern('paid')
      paid(_order: unknown): void {}

      @Idempotent({ key: payload('id') })
      @MessagePattern('pay')
      pay(_order: unknown): void {}
    }
    const app = await start({ controllers: [Messages] });
    expect(app.complaints).toEqual([]);
    for (const key of [arg(0), arg('id'), messageId()]) {
      @Controller('payments')
      class Wrong {
        @Idempotent({ key })
        @Post()
        pay(): void {}
      }
      const error = await bootError(platform, { controllers: [Wrong] });
      expect(error.message).toMatch(/key of Wrong\.pay.+on a route/);
    }
    @Controller()
    class WrongMessage {
      @Idempotent({ key: [payload('id'), param('id')] })
      @EventPattern('paid')
      paid(_order: unknown): void {}
    }
    const error = await bootError(platform, { controllers: [WrongMessage] });
    expect(error.message).toMatch(/key of WrongMessage\.paid.+param id, on a handler of messages/);
  });
});
