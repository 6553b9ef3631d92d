import { Injectable, Module, type OnModuleInit, Post, Scope, type Type } from '@nestjs/common';
import { ContextIdFactory, LazyModuleLoader, ModuleRef, NestFactory } from '@nestjs/core';
import {
  arg,
  IdempotencyModule,
  IdempotencyService,
  Idempotent,
  isIdempotencyConfigurationError,
  isIdempotencyError,
  SkipIdempotency,
} from 'nestjs-idempotency';
import { Readable } from 'node:stream';
import { BehaviorSubject, Observable, of } from 'rxjs';

let runs: string[];
beforeEach(() => {
  runs = [];
});

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const app of opened.splice(0)) await app.close();
});

async function start(providers: Providers, imports: Type[] = []): Promise<ModuleRef> {
  @Module({ imports: [IdempotencyModule.forRoot(), ...imports], providers })
  class App {}
  const app = await NestFactory.createApplicationContext(App, {
    logger: false,
    abortOnError: false,
  });
  opened.push(app);
  return app.get(ModuleRef);
}
type Providers = NonNullable<Parameters<typeof Module>[0]['providers']>;

async function bootError(providers: Providers): Promise<string> {
  const error: unknown = await start(providers).then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (!isIdempotencyConfigurationError(error)) throw new Error('The application booted.');
  return error.message;
}

@Injectable()
class Charges {
  @Idempotent({ key: arg(0) })
  charge(id: string): Promise<string> {
    runs.push(id);
    return Promise.resolve(`charged ${id}`);
  }
}

async function expectProtected(charges: Charges): Promise<void> {
  expect(await charges.charge('A')).toBe('charged A');
  expect(await charges.charge('A')).toBe('charged A');
  expect(runs).toEqual(['A']);
}

describe('an object that is made after the application has booted is protected', () => {
  test('by a lazy module', async () => {
    @Module({ providers: [Charges] })
    class Lazy {}
    const ref = await start([]);
    const lazy = await ref.get(LazyModuleLoader, { strict: false }).load(() => Lazy);
    await expectProtected(lazy.get(Charges));
  });

  test('by ModuleRef.create()', async () => {
    await expectProtected(await (await start([])).create(Charges));
  });

  test.each([Scope.REQUEST, Scope.TRANSIENT])('by a factory of scope %s', async (scope) => {
    const ref = await start([{ provide: 'charges', scope, useFactory: () => new Charges() }]);
    const ofRequest = (): Promise<Charges> =>
      ref.resolve<Charges>('charges', ContextIdFactory.create(), { strict: false });
    await (await ofRequest()).charge('A');
    await expectProtected(await ofRequest());
  });

  test('by code, and stands behind a proxy', async () => {
    await start([]);
    await expectProtected(new Proxy(new Charges(), {}));
  });

  test('as a subclass that nobody declares', async () => {
    class Logged extends Charges {}
    await start([Charges]);
    await expectProtected(new Logged());
  });

  test('unless an eager class of its name has the scope: then it is refused, again and again', async () => {
    const late = (() => {
      @Injectable()
      class Charges {
        @Idempotent({ key: arg(0) })
        charge(id: string): Promise<string> {
          runs.push(`late ${id}`);
          return Promise.resolve(`charged late ${id}`);
        }
      }
      return Charges;
    })();
    @Injectable()
    class Innocent {
      @Idempotent({ key: arg(0) })
      charge(id: string): Promise<string> {
        runs.push(`innocent ${id}`);
        return Promise.resolve(id);
      }
    }
    @Module({ providers: [late, Innocent] })
    class Lazy {}
    const ref = await start([Charges]);
    const lazy = await ref.get(LazyModuleLoader, { strict: false }).load(() => Lazy);
    for (const _call of ['first', 'second']) {
      const refusal: unknown = await lazy
        .get(late)
        .charge('A')
        .catch((error: unknown) => error);
      expect(isIdempotencyError(refusal) && refusal.code).toBe('IDEMPOTENCY_NOT_PROTECTED');
      expect((refusal as Error).message).toMatch(/scope of Charges.charge.+no other handler has/s);
    }
    expect(runs).toEqual([]);
    await expectProtected(ref.get(Charges, { strict: false }));
    await lazy.get(Innocent).charge('B');
    expect(runs).toEqual(['A', 'innocent B']);
  });

  test('unless its class has an eager provider: then it alone is refused', async () => {
    @Module({ providers: [Charges] })
    class Lazy {}
    const ref = await start([Charges]);
    const eager = ref.get(Charges, { strict: false });
    await expectProtected(eager);
    const lazy = await ref.get(LazyModuleLoader, { strict: false }).load(() => Lazy);
    for (const id of ['B', 'B'])
      await expect(lazy.get(Charges).charge(id)).rejects.toThrow(/two providers of Charges/);
    await eager.charge('C');
    expect(runs).toEqual(['A', 'C']);
  });

  test('unless a lazy module has two providers of its class: then it is refused', async () => {
    class Regional extends Charges {}
    @Module({
      providers: [
        { provide: 'eu', useFactory: () => new Regional() },
        { provide: 'us', useFactory: () => new Regional() },
      ],
    })
    class Lazy {}
    const ref = await start([]);
    const lazy = await ref.get(LazyModuleLoader, { strict: false }).load(() => Lazy);
    for (const name of ['eu', 'us', 'eu'])
      await expect(lazy.get<Regional>(name).charge('A')).rejects.toThrow(
        /two providers of Regional/,
      );
    expect(runs).toEqual([]);
  });

  test('and its options are checked then', async () => {
    class Wrong {
      @Idempotent({ key: arg(0), ttl: 'a while' as '1s' })
      charge(id: string): Promise<void> {
        runs.push(id);
        return Promise.resolve();
      }
    }
    await start([]);
    const error = await new Promise<unknown>((resolve) => {
      try {
        new Wrong().charge('A').catch(resolve);
      } catch (thrown) {
        resolve(thrown);
      }
    });
    expect(isIdempotencyError(error) && error.code).toBe('IDEMPOTENCY_NOT_PROTECTED');
    expect((error as Error).message).toMatch(/Wrong.+declaration is invalid.+ttl/);
    expect(runs).toEqual([]);
  });
});

describe('a method', () => {
  test('with a symbol for a name is protected', async () => {
    const charge = Symbol('charge');
    class Hidden {
      @Idempotent({ key: arg(0) })
      [charge](id: string): Promise<void> {
        runs.push(id);
        return Promise.resolve();
      }
    }
    const ref = await start([Hidden]);
    const hidden = ref.get(Hidden, { strict: false });
    await hidden[charge]('A');
    await hidden[charge]('A');
    expect(runs).toEqual(['A']);
    const [entry] = ref.get(IdempotencyService, { strict: false }).coverage();
    expect(entry).toMatchObject({ kind: 'method', name: 'Hidden.Symbol(charge)' });
  });

  test('that overrides one and calls super is one operation with it, where both carry the decorator', async () => {
    class Logged extends Charges {
      @Idempotent({ key: arg(0) })
      override async charge(id: string): Promise<string> {
        await Promise.resolve();
        return super.charge(id);
      }
    }
    const ref = await start([Charges, Logged]);
    await expectProtected(ref.get(Logged, { strict: false }));
    // Two classes, two places.
    await ref.get(Charges, { strict: false }).charge('A');
    expect(runs).toEqual(['A', 'A']);
  });

  test.each([
    ['alone', (type: Type): Providers => [type]],
    ['beside it', (type: Type): Providers => [Charges, type]],
    ['in its place', (type: Type): Providers => [{ provide: Charges, useClass: type }]],
    [
      'made by a factory',
      (type: Type): Providers => [{ provide: 'x', useFactory: () => new type() }],
    ],
  ])(
    'that overrides one without the decorator stops the application, %s',
    async (_how, providers) => {
      class Logged extends Charges {
        override charge(id: string): Promise<string> {
          return super.charge(id);
        }
      }
      expect(await bootError(providers(Logged))).toMatch(/Logged\.charge, which overrides/);
    },
  );

  test('that overrides one may say that it runs as often as it is called', async () => {
    class Fake extends Charges {
      @SkipIdempotency()
      override charge(id: string): Promise<string> {
        runs.push(`fake ${id}`);
        return Promise.resolve('');
      }
    }
    const fake = (await start([Fake])).get(Fake, { strict: false });
    await fake.charge('A');
    await fake.charge('A');
    expect(runs).toEqual(['fake A', 'fake A']);
  });

  test('that its object replaces stops the application', async () => {
    @Injectable()
    class Bound extends Charges implements OnModuleInit {
      onModuleInit(): void {
        this.charge = this.charge.bind(this);
      }
    }
    expect(await bootError([Bound])).toMatch(/Bound\.charge, which the object replaces/);
  });

  test('that two providers of one class have stops the application, unless it has a scope', async () => {
    const regions: Providers = [
      { provide: 'eu', useFactory: () => new Charges() },
      { provide: 'us', useFactory: () => new Charges() },
    ];
    expect(await bootError(regions)).toMatch(/scope of Charges\.charge.+two providers of Charges/);
    await start([Charges, { provide: 'alias', useExisting: Charges }]);

    class Named {
      @Idempotent({ key: arg(0), scope: 'charges' })
      charge(id: string): Promise<void> {
        runs.push(id);
        return Promise.resolve();
      }
    }
    const ref = await start([Named, { provide: 'other', useClass: Named }]);
    await ref.get(Named, { strict: false }).charge('A');
    await ref.get<Named>('other', { strict: false }).charge('A');
    expect(runs).toEqual(['A']);
  });
});

describe('the decorator refuses', () => {
  const key = arg(0);

  test('a static method', () => {
    expect(() => {
      class Shop {
        @Idempotent({ key })
        static pay(): void {}
      }
      return Shop;
    }).toThrow(/Shop\.pay, a static method.+a method of a provider/);
  });

  test('an accessor', () => {
    expect(() => {
      class Shop {
        @Idempotent({ key })
        get paid(): number {
          return 1;
        }
      }
      return Shop;
    }).toThrow(/Shop\.paid, an accessor/);
  });

  test('its opposite beside it, in any order', () => {
    expect(() => {
      class Shop {
        @Idempotent({ key })
        @SkipIdempotency()
        @Post()
        pay(): void {}
      }
      return Shop;
    }).toThrow(/Shop\.pay, which has @SkipIdempotency/);
    expect(() => {
      class Shop {
        @SkipIdempotency()
        @Idempotent({ key })
        @Post()
        pay(): void {}
      }
      return Shop;
    }).toThrow(/pay, which has @Idempotent/);
  });

  test('at boot, generators', async () => {
    class Shop {
      @Idempotent({ key })
      *pay(): Generator<number> {
        yield 1;
      }
    }
    class Later {
      @Idempotent({ key })
      async *pay(): AsyncGenerator<number> {
        yield await Promise.resolve(1);
      }
    }
    expect(await bootError([Shop])).toMatch(/Shop\.pay, a generator/);
    expect(await bootError([Later])).toMatch(/Later\.pay, a generator/);
  });

  test('at boot, a method that returns a stream', async () => {
    class Shop {
      @Idempotent({ key })
      read(_id: string): Readable {
        return Readable.from([]);
      }
    }
    expect(await bootError([Shop])).toMatch(/Shop\.read, which returns a Readable/);
  });

  test('at boot, a method that returns an observable', async () => {
    class Shop {
      @Idempotent({ key })
      pay(_id: string): Observable<number> {
        return of(1);
      }
    }
    class Listening {
      @Idempotent({ key })
      pay(_id: string): BehaviorSubject<number> {
        return new BehaviorSubject(1);
      }
    }
    expect(await bootError([Shop])).toMatch(
      /Shop\.pay, which returns an Observable.+lastValueFrom/s,
    );
    expect(await bootError([Listening])).toMatch(/Listening\.pay, which returns an Observable/);
  });
});
