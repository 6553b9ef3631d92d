import {
  ConflictException,
  Injectable,
  Module,
  NotFoundException,
  type OnModuleInit,
  Scope,
  SetMetadata,
  type Type,
} from '@nestjs/common';
import { ContextIdFactory, ModuleRef, NestFactory, Reflector } from '@nestjs/core';
import {
  arg,
  body,
  IdempotencyModule,
  type IdempotencyModuleOptions,
  IdempotencyService,
  Idempotent,
  isIdempotencyConfigurationError,
  isIdempotencyError,
  MemoryStore,
} from 'nestjs-idempotency';
import { Gate, unprotected } from 'nestjs-idempotency/testing';
import { defer, type Observable } from 'rxjs';

interface Order {
  readonly id: string;
  readonly amount?: number;
}

const Tag = (value: string): MethodDecorator => SetMetadata('tag', value);

let runs: string[];
beforeEach(() => {
  runs = [];
});

@Injectable()
class Invoices {
  readonly prefix = 'INV';
  gate: Gate | undefined;

  constructor(private readonly idempotency: IdempotencyService) {}

  @Tag('above')
  @Idempotent({ key: arg(0, 'id') })
  @Tag('below')
  async send(order: Order): Promise<object> {
    runs.push(`send ${order.id}`);
    await this.gate?.pass();
    return {
      no: `${this.prefix}-${order.id}`,
      at: new Date(0),
      size: 10n,
      lines: new Map([[1, 'a']]),
    };
  }

  @Idempotent({ key: [arg(0), arg(1)] })
  fail(kind: string, id: number): Promise<void> {
    runs.push(`fail ${id}`);
    throw kind === 'final' ? new NotFoundException('no such order') : new ConflictException();
  }

  @Idempotent({ key: arg(0) })
  observe(id: string): Observable<string> | Promise<string> {
    runs.push(`begun ${id}`);
    return defer(async () => {
      runs.push(`done ${id}`);
      return id;
    });
  }

  @Idempotent({ key: arg(0) })
  async observeLater(id: string): Promise<Observable<string>> {
    await Promise.resolve();
    return defer(async () => {
      runs.push(`done ${id}`);
      return id;
    });
  }

  @Idempotent({ key: arg(0), onDuplicate: 'reject' })
  async outer(id: string): Promise<unknown[]> {
    runs.push(`outer ${id}`);
    const { key } = this.idempotency.current()!;
    return [
      key,
      await this.inner(`${id}-1`),
      await this.inner(`${id}-1`),
      this.idempotency.current()!.key,
    ];
  }

  @Idempotent({ key: arg(0) })
  async inner(id: string): Promise<string> {
    runs.push(`inner ${id}`);
    return Promise.resolve(this.idempotency.current()!.key!);
  }

  @Idempotent({ key: arg(0), fingerprint: false })
  async countDown(id: string, from: number): Promise<number> {
    runs.push(`${id} ${from}`);
    return from === 0 ? 0 : 1 + (await this.countDown(id, from - 1));
  }

  @Idempotent({ strategy: 'lock', key: arg(0), wait: '5s' })
  async exclusive(_id: string): Promise<() => string> {
    runs.push('in');
    await new Promise(setImmediate);
    runs.push('out');
    return () => 'not for records';
  }
}

interface Started {
  readonly invoices: Invoices;
  readonly ref: ModuleRef;
  readonly close: () => Promise<void>;
}

const started: Started[] = [];

async function start(
  providers: Type[] = [Invoices],
  options: IdempotencyModuleOptions = { store: new MemoryStore() },
): Promise<Started> {
  @Module({ imports: [IdempotencyModule.forRoot(options)], providers })
  class App {}
  const app = await NestFactory.createApplicationContext(App, {
    logger: false,
    abortOnError: false,
  });
  const one = {
    invoices: providers.includes(Invoices) ? app.get(Invoices) : (undefined as never),
    ref: app.get(ModuleRef),
    close: () => app.close(),
  };
  started.push(one);
  return one;
}

afterEach(async () => {
  for (const { close } of started.splice(0)) await close();
});

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isIdempotencyError(error)) throw error ?? new Error('it was not refused');
  return error.code;
}

async function bootProblem(provider: Type): Promise<object> {
  const error: unknown = await start([provider]).catch((thrown: unknown) => thrown);
  if (!isIdempotencyConfigurationError(error)) throw error;
  return error.problem;
}

describe('a protected method of a provider', () => {
  test('runs once, and answers with what it returned, with its types', async () => {
    const { invoices } = await start();
    const first = await invoices.send({ id: 'A' });
    expect(await invoices.send({ id: 'A' })).toEqual(first);
    expect(first).toEqual({ no: 'INV-A', at: new Date(0), size: 10n, lines: new Map([[1, 'a']]) });
    await invoices.send({ id: 'B' });
    expect(runs).toEqual(['send A', 'send B']);
  });

  test('refuses other arguments with the same key, and a call without a key', async () => {
    const { invoices } = await start();
    await invoices.send({ id: 'A', amount: 1 });
    expect(await refusalOf(invoices.send({ id: 'A', amount: 2 }))).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(await refusalOf(invoices.send({} as Order))).toBe('IDEMPOTENCY_KEY_REQUIRED');
    expect(await refusalOf(invoices.send('A' as never))).toBe('IDEMPOTENCY_KEY_REQUIRED');
    expect(await refusalOf(invoices.send({ id: {} } as never))).toBe('IDEMPOTENCY_KEY_INVALID');
    expect(runs).toEqual(['send A']);
  });

  test('refuses a duplicate while the first call runs', async () => {
    const { invoices } = await start();
    invoices.gate = new Gate();
    const first = invoices.send({ id: 'A' });
    expect(await refusalOf(invoices.send({ id: 'A' }))).toBe('IDEMPOTENCY_KEY_IN_USE');
    invoices.gate.open();
    const reply = await first;
    expect(await invoices.send({ id: 'A' })).toEqual(reply);
  });

  test('replays an error that is the result, and runs again after any other', async () => {
    const { invoices } = await start();
    for (let i = 0; i < 2; i++) {
      await expect(invoices.fail('final', 1)).rejects.toMatchObject({ message: 'no such order' });
      await expect(invoices.fail('passing', 2)).rejects.toThrow(ConflictException);
    }
    expect(runs).toEqual(['fail 1', 'fail 2', 'fail 2']);
  });

  test.each(['observe', 'observeLater'] as const)(
    'that answers with an observable is refused, and not called again: %s',
    async (name) => {
      const { invoices, ref } = await start();
      const idempotency = ref.get(IdempotencyService, { strict: false });
      for (const id of ['A', 'A', 'B']) {
        const refusal: unknown = await Promise.resolve(invoices[name](id)).catch(
          (error: unknown) => error,
        );
        expect(isIdempotencyError(refusal) && refusal.code).toBe('IDEMPOTENCY_NOT_PROTECTED');
        expect((refusal as Error).message).toMatch(/Observable.+lastValueFrom/);
      }
      expect(runs).toEqual(name === 'observe' ? ['begun A'] : []);
      const found = await idempotency.find({ scope: `Invoices.${name}`, key: 'A' });
      expect(found?.state).not.toBe('in-flight');
      expect(found?.state).not.toBe('completed');
    },
  );

  test('may call others: each has its own key', async () => {
    const { invoices } = await start();
    expect(await invoices.outer('A')).toEqual(['A', 'A-1', 'A-1', 'A']);
    expect(runs).toEqual(['outer A', 'inner A-1']);
    expect(await refusalOf(invoices.outer('A'))).toBe('IDEMPOTENCY_DUPLICATE');
  });

  test('may call itself, for the same operation', async () => {
    const { invoices } = await start();
    expect(await invoices.countDown('A', 2)).toBe(2);
    expect(await invoices.countDown('A', 2)).toBe(2);
    expect(runs).toEqual(['A 2', 'A 1', 'A 0']);
  });

  test('excludes others while it runs, with a lock, and keeps nothing', async () => {
    const { invoices } = await start();
    const results = await Promise.all([1, 2, 3].map(() => invoices.exclusive('A')));
    expect(results.map((result) => result())).toEqual(Array(3).fill('not for records'));
    expect(runs).toEqual(['in', 'out', 'in', 'out', 'in', 'out']);
  });

  test('keeps what other decorators have left on it', async () => {
    await start();
    expect(new Reflector().get('tag', Invoices.prototype.send)).toBe('above');
    expect(Invoices.prototype.send.name).toBe('send');
  });
});

describe('an instance', () => {
  test('belongs to its application, in several of one process', async () => {
    const [one, other] = [await start(), await start()];
    await one.invoices.send({ id: 'A' });
    await other.invoices.send({ id: 'A' });
    await one.invoices.send({ id: 'A' });
    expect(runs).toEqual(['send A', 'send A']);
  });

  test('may be made for a request', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      readonly number = Math.random();

      @Idempotent({ key: arg(0) })
      async pay(id: string): Promise<number> {
        runs.push(id);
        return Promise.resolve(this.number);
      }
    }
    const { ref } = await start([PerRequest]);
    const resolve = (): Promise<PerRequest> =>
      ref.resolve(PerRequest, ContextIdFactory.create(), { strict: false });
    const first = await (await resolve()).pay('A');
    expect(await (await resolve()).pay('A')).toBe(first);
    expect(runs).toEqual(['A']);
  });

  test('may come out of a factory', async () => {
    const made = { provide: 'made', useFactory: () => new Plain() };
    const { ref } = await start([made as unknown as Type]);
    const plain = ref.get<Plain>('made', { strict: false });
    await plain.pay('A');
    await plain.pay('A');
    expect(runs).toEqual(['A']);
  });

  test('is protected while other modules boot', async () => {
    @Injectable()
    class Early implements OnModuleInit {
      constructor(private readonly invoices: Invoices) {}

      async onModuleInit(): Promise<void> {
        await this.invoices.send({ id: 'A' });
        await this.invoices.send({ id: 'A' });
      }
    }
    await start([Early, Invoices]);
    expect(runs).toEqual(['send A']);
  });

  test('that nobody has injected belongs to the only application of the process', async () => {
    await start();
    const plain = new Plain();
    await plain.pay('A');
    await plain.pay('A');
    expect(runs).toEqual(['A']);
  });

  test('is not run where no application, or several, may protect it', async () => {
    const plain = new Plain();
    expect(() => plain.pay('A')).toThrow(/Plain\.pay.+no application with IdempotencyModule runs/);
    await start();
    await start();
    expect(() => plain.pay('A')).toThrow(/Plain\.pay.+several applications/);
    expect(runs).toEqual([]);
  });

  test('is an ordinary one where a test says so', async () => {
    const plain = new Plain();
    await unprotected(() => plain.pay('A'));
    await unprotected(() => plain.pay('A'));
    expect(runs).toEqual(['A', 'A']);
  });

  test('looks as it did without', async () => {
    const { invoices } = await start();
    expect(Object.getOwnPropertySymbols(invoices)).toEqual([]);
  });
});

class Plain {
  @Idempotent({ key: arg(0) })
  async pay(id: string): Promise<void> {
    runs.push(id);
    return Promise.resolve();
  }
}

describe('stops the application', () => {
  test('without a key', async () => {
    @Injectable()
    class NoKey {
      @Idempotent()
      pay(): void {}
    }
    expect(await bootProblem(NoKey)).toMatchObject({
      option: 'key of NoKey.pay',
      remedy: expect.stringContaining('arg(0'),
    });
  });

  test('with the strategy of tokens, which a method is not sent', async () => {
    @Injectable()
    class Tokens {
      @Idempotent({ strategy: 'token' })
      pay(): void {}
    }
    expect(await bootProblem(Tokens)).toMatchObject({
      option: 'strategy of Tokens.pay',
      given: 'token',
      remedy: expect.stringContaining('route'),
    });
  });

  test('on the class of a provider', async () => {
    @Idempotent()
    @Injectable()
    class Whole {}
    expect(await bootProblem(Whole)).toMatchObject({ given: 'Whole' });
  });

  test('when two classes have one scope', async () => {
    const twin = (): Type => {
      @Injectable()
      class Twin {
        @Idempotent({ key: arg(0) })
        pay(): void {}
      }
      return Twin;
    };
    const [one, other] = [twin(), twin()];
    const error: unknown = await start([one, other]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ problem: { option: 'scope of Twin.pay', given: 'Twin.pay' } });
  });

  test('when the position of an argument is none', () => {
    expect(() => arg(-1)).toThrow(/position of an argument/);
    expect(() => arg(0, '')).toThrow(/arg/);
  });
});

test('stops the application with a source that reads a request', async () => {
  @Injectable()
  class Lost {
    @Idempotent({ key: body('id') })
    pay(_dto: object): void {}
  }
  await expect(start([Lost])).rejects.toThrow(/key of Lost\.pay.+body\.id, on a method/);
});
