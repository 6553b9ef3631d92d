import {
  BadRequestException,
  ConflictException,
  Controller,
  HttpException,
  Injectable,
  Module,
  NotFoundException,
  Post,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type IdempotencyErrorCode,
  type IdempotencyEvent,
  IdempotencyException,
  IdempotencyModule,
  type IdempotencyModuleOptions,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  isIdempotencyConfigurationError,
  isIdempotencyError,
  MemoryStore,
  Operation,
  recoveredReply,
  type RunOptions,
} from 'nestjs-idempotency';
import {
  CHANNEL_PREFIX,
  IDEMPOTENCY_CLOCK,
  isFingerprintUnavailableError,
  isInvalidKeyError,
} from 'nestjs-idempotency/contracts';
import {
  failBefore,
  FaultInjectingStore,
  Gate,
  hang,
  ManualClock,
} from 'nestjs-idempotency/testing';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { inspect } from 'node:util';
import { defer, lastValueFrom, of } from 'rxjs';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

const EVENT_TYPES = [
  'claimed',
  'taken-over',
  'executed',
  'stored',
  'released',
  'held',
  'replayed',
  'waited',
  'rejected',
  'lease-lost',
  'completion-failed',
  'unprotected',
  'step-not-saved',
  'exhausted',
  'dropped',
  'returned',
  'settled',
  'forgotten',
] as const satisfies readonly IdempotencyEvent['type'][];

let clock: ManualClock;
let store: FaultInjectingStore;
let service: IdempotencyService;
let close: () => Promise<void>;
let runs: number;

async function start(options: IdempotencyModuleOptions = {}): Promise<void> {
  clock = new ManualClock();
  store = new FaultInjectingStore(new MemoryStore({ clock }));
  const module = IdempotencyModule.forRoot({ store, ...options });
  module.providers = [...(module.providers ?? []), { provide: IDEMPOTENCY_CLOCK, useValue: clock }];

  @Module({ imports: [module] })
  class TestModule {}

  const app = await NestFactory.createApplicationContext(TestModule, {
    logger: false,
    abortOnError: false,
  });
  service = app.get(IdempotencyService);
  close = () => app.close();
}

beforeEach(async () => {
  runs = 0;
  await start();
});
afterEach(() => close());

const INVOICE = { scope: 'invoice', key: 'no-1' } as const;
const invoice = <T>(
  fn: (operation: IdempotentOperation) => T | PromiseLike<T>,
  options: Partial<RunOptions> = {},
): Promise<T> =>
  service.run({ ...INVOICE, ...options }, (operation) => {
    runs += 1;
    return fn(operation);
  });

/** What a promise was rejected with. */
const failureOf = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => {
      throw new Error(`It was ${inspect(value)}.`);
    },
    (error: unknown) => error,
  );

async function expectRefused(
  promise: Promise<unknown>,
  code: IdempotencyErrorCode,
): Promise<IdempotencyException> {
  const error = await failureOf(promise);
  expect(error).toMatchObject({ code });
  expect(isIdempotencyError(error)).toBe(true);
  return error as IdempotencyException;
}

describe('what run() answers', () => {
  it.each<[string, unknown]>([
    ['an object', { id: 1, list: [1, 'two', null, true] }],
    ['text', 'text \u0000 \ud83d\ude00'],
    ['no text', ''],
    ['zero', 0],
    ['minus zero', -0],
    ['no number', Number.NaN],
    ['false', false],
    ['null', null],
    ['undefined', undefined],
    ['members that are undefined', { a: undefined, b: [undefined] }],
    ['a date', new Date(1_700_000_000_123)],
    ['a bigint', 2n ** 80n],
    ['a Buffer', Buffer.from([0, 127, 128, 255])],
    ['an empty Buffer', Buffer.alloc(0)],
    ['other bytes', new Uint16Array([1, 65_535])],
    [
      'a Map',
      new Map<unknown, unknown>([
        [{ a: 1 }, new Set([1])],
        ['b', undefined],
      ]),
    ],
    ['a Set', new Set<unknown>([1, 'one', null])],
    ['an expression', /a+/giu],
    ['deep inside', { paid: { at: new Date(0), by: new Map([['a', 1n]]), raw: Buffer.from('x') } }],
    ['an error', new RangeError('too far')],
  ])('comes back as itself: %s', async (_name, value) => {
    expect(await invoice(() => value)).toBe(value);
    const again = await invoice(() => 'not this');
    expect(again).toStrictEqual(value);
    expect(Object.prototype.toString.call(again)).toBe(Object.prototype.toString.call(value));
    expect(Buffer.isBuffer(again)).toBe(Buffer.isBuffer(value));
    expect(runs).toBe(1);
  });

  it('comes back with its circles', async () => {
    const value: { self?: unknown; list: unknown[] } = { list: [] };
    value.self = value;
    value.list.push(value);
    await invoice(() => value);
    const again = await invoice(() => value);
    expect(again).not.toBe(value);
    expect(again.self).toBe(again);
    expect(again.list[0]).toBe(again);
  });

  it('is what a promise or a thenable answers, which is asked once', async () => {
    let asked = 0;
    const lazy: PromiseLike<number> = {
      // oxlint-disable-next-line unicorn/no-thenable -- what query builders are
      then(fulfilled, rejected) {
        asked += 1;
        return Promise.resolve(asked).then(fulfilled, rejected);
      },
    };
    expect(await invoice(() => lazy)).toBe(1);
    expect(await invoice(() => lazy)).toBe(1);
    expect({ runs, asked }).toEqual({ runs: 1, asked: 1 });
  });

  it("is each caller's own", async () => {
    const gate = new Gate();
    const first = invoice(
      async () => {
        await gate.pass();
        return { bytes: Buffer.from('abc'), list: [1] };
      },
      { wait: '5s' },
    );
    await gate.reached();
    const others = [1, 2].map(() =>
      invoice(() => ({ bytes: Buffer.from('never'), list: [2] }), { wait: '5s' }),
    );
    gate.open();
    for (const reply of [first, ...others]) {
      const value = await reply;
      expect({ text: value.bytes.toString(), list: value.list }).toEqual({
        text: 'abc',
        list: [1],
      });
      value.bytes.fill(0);
      value.list.push(9);
    }
    const later = await invoice(() => ({ bytes: Buffer.from('never'), list: [2] }));
    expect({ text: later.bytes.toString(), list: later.list }).toEqual({ text: 'abc', list: [1] });
    expect(runs).toBe(1);
  });

  it.each<[string, () => unknown]>([
    ['a function', () => () => 1],
    ['a function inside', () => ({ a: { b: () => 1 } })],
    ['a symbol', () => Symbol('a')],
  ])('is answered once when it cannot be kept: %s', async (_name, fn) => {
    expect(inspect(await invoice(fn))).toBe(inspect(fn()));
    expect(await service.find(INVOICE)).toMatchObject({ state: 'completed' });
    expect(await service.reply(INVOICE)).toEqual({ kind: 'not-kept' });
    await expectRefused(invoice(fn), 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(runs).toBe(1);
  });

  it('is kept for the ttl, and made again afterwards', async () => {
    await invoice(() => 'a', { ttl: '10s' });
    await clock.advance(9_999);
    expect(await invoice(() => 'b', { ttl: '10s' })).toBe('a');
    await clock.advance(1);
    expect(await invoice(() => 'b', { ttl: '10s' })).toBe('b');
  });

  it('is refused to duplicates that are not wanted', async () => {
    await invoice(() => 'a');
    await expectRefused(
      invoice(() => 'b', { onDuplicate: 'reject' }),
      'IDEMPOTENCY_DUPLICATE',
    );
    expect(runs).toBe(1);
  });
});

test('a result whose constructor throws when it is read ends the operation all the same', async () => {
  const constructor = {
    get: () => {
      throw new Error('not to be read');
    },
  };
  const result = Object.defineProperty({}, 'constructor', constructor);
  expect(await invoice(() => result)).toBe(result);
  expect(await service.find(INVOICE)).toMatchObject({ state: 'completed' });
});

describe('an error in run()', () => {
  it.each<[string, HttpException]>([
    ['with text', new NotFoundException('no such invoice')],
    ['with an object', new BadRequestException({ fields: ['a'], code: 7 })],
    ['of another status', new HttpException({ error: 'gone' }, 410)],
  ])('that is its result is thrown again: %s', async (_name, error) => {
    const fail = () => {
      throw error;
    };
    expect(await failureOf(invoice(fail))).toBe(error);
    const again = (await failureOf(invoice(fail))) as HttpException;
    expect(again).toBeInstanceOf(HttpException);
    expect(again.getStatus()).toBe(error.getStatus());
    expect(again.getResponse()).toEqual(error.getResponse());
    expect(runs).toBe(1);
  });

  it.each<[string, unknown]>([
    ['an error', new Error('network')],
    ['a conflict', new ConflictException()],
    ['a failure of the server', new HttpException('later', 503)],
    ['text', 'failed'],
    ['nothing', undefined],
  ])('that is not lets the next call run: %s', async (_name, error) => {
    const attempts: number[] = [];
    const fail = async (operation: IdempotentOperation) => {
      attempts.push(operation.attempt);
      await Promise.reject(error);
    };
    expect(await failureOf(invoice(fail))).toBe(error);
    expect(await failureOf(invoice(fail))).toBe(error);
    expect(await invoice(({ attempt }) => attempt)).toBe(3);
    expect(attempts).toEqual([1, 2]);
  });

  it('is what onError says: stored with its message, or held', async () => {
    const fail = () => {
      throw new RangeError('declined');
    };
    await failureOf(invoice(fail, { onError: () => 'store' }));
    const again = await failureOf(invoice(fail, { onError: 'release' }));
    expect(again).toMatchObject({ name: 'RangeError', message: 'declined' });
    expect(runs).toBe(1);

    const held = { key: 'no-2', onError: async () => Promise.resolve('hold' as const) };
    expect(await failureOf(invoice(fail, held))).toBeInstanceOf(RangeError);
    await expectRefused(invoice(fail, held), 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(runs).toBe(2);
  });

  it('that cannot be kept is told, and not repeated', async () => {
    const error = new BadRequestException({ retry: () => 1 });
    const fail = () => {
      throw error;
    };
    expect(await failureOf(invoice(fail))).toBe(error);
    await expectRefused(invoice(fail), 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(runs).toBe(1);
  });

  it('says that an observable is no value, before anybody has subscribed to it', async () => {
    await start();
    const work = (): unknown => defer(() => of(++runs));
    const refused = service.run({ scope: 's', key: 'k' }, work);
    await expect(refused).rejects.toThrow(/run\(\) returned an Observable.+lastValueFrom/);
    expect(runs).toBe(0);
    expect(
      await service.run({ scope: 's', key: 'k' }, () => lastValueFrom(defer(() => of(++runs)))),
    ).toBe(1);
  });
});

describe('duplicates of run()', () => {
  it('are told apart by scope, principal and key', async () => {
    const names: Partial<RunOptions>[] = [
      {},
      { scope: 'invoices' },
      { key: 'NO-1' },
      { key: ['no', '1'] },
      { key: ['no-', '1'] },
      { key: 1 },
      { principal: 'alice' },
      { principal: 'bob' },
      { scope: 'invoiceno-1', key: 'x' },
    ];
    for (const [at, name] of names.entries()) expect(await invoice(() => at, name)).toBe(at);
    for (const [at, name] of names.entries()) expect(await invoice(() => -1, name)).toBe(at);
    // Digits are a key whatever their type, and an empty name is nobody's.
    expect(await invoice(() => -1, { key: '1' })).toBe(5);
    expect(await invoice(() => -1, { principal: '' })).toBe(0);
    expect(runs).toBe(names.length);
  });

  it('with other content are refused, whatever the order of members', async () => {
    const content = { amount: 1, to: { a: 1, b: 2 } };
    expect(await invoice(() => 'a', { content })).toBe('a');
    expect(await invoice(() => 'b', { content: { to: { b: 2, a: 1 }, amount: 1.0 } })).toBe('a');
    await expectRefused(
      invoice(() => 'b', { content: { ...content, amount: 2 } }),
      'IDEMPOTENCY_KEY_REUSED',
    );
    expect(runs).toBe(1);
  });

  it('are refused or wait while the first one runs', async () => {
    const gate = new Gate();
    const first = invoice(async () => {
      await gate.pass();
      return { done: true };
    });
    await gate.reached();
    const refused = await expectRefused(
      invoice(() => 'no', { retryAfter: '1.5s' }),
      'IDEMPOTENCY_KEY_IN_USE',
    );
    expect(refused).toMatchObject({ retryAfterSeconds: 2, retryable: true });
    const waiting = invoice(() => ({ done: false }), { wait: '1s' });
    const tooShort = failureOf(invoice(() => ({ done: false }), { wait: 10 }));
    await clock.advance(10);
    expect(await tooShort).toMatchObject({ code: 'IDEMPOTENCY_KEY_IN_USE' });
    gate.open();
    expect([await first, await waiting]).toEqual([{ done: true }, { done: true }]);
    expect(runs).toBe(1);
  });

  it('run once the first one failed, when they waited', async () => {
    const gate = new Gate();
    const first = invoice(async () => {
      await gate.pass();
      throw new Error('failed');
    });
    await gate.reached();
    const waiting = invoice(({ attempt }) => attempt, { wait: '1s' });
    gate.open();
    expect(await failureOf(first)).toMatchObject({ message: 'failed' });
    expect(await waiting).toBe(2);
  });
});

describe('the operation', () => {
  const keysOf = async (options: Partial<RunOptions>, ...names: string[]): Promise<string[]> => {
    let keys: string[] = [];
    await failureOf(
      invoice((operation) => {
        keys = names.map((name) => operation.deriveKey(name));
        throw new Error('once more');
      }, options),
    );
    return keys;
  };

  it('names itself', async () => {
    await invoice(
      (operation) => {
        expect(operation).toMatchObject({
          scope: 'invoice',
          key: 'no-1',
          principal: '7',
          attempt: 1,
        });
        expect(operation.fencingToken).toBeGreaterThan(0);
        expect(operation.signal.aborted).toBe(false);
      },
      { principal: 7 },
    );
    expect(runs).toBe(1);
  });

  it('derives the same key on every attempt, and another one for everything else', async () => {
    const first = await keysOf({}, 'charge', 'refund');
    expect(await keysOf({}, 'charge', 'refund')).toEqual(first);
    const all = [
      ...first,
      ...(await keysOf({ scope: 'order' }, 'charge')),
      ...(await keysOf({ principal: 'alice' }, 'charge')),
      ...(await keysOf({ key: 'no-2' }, 'charge')),
      ...(await keysOf({}, 'charg')),
    ];
    expect(new Set(all).size).toBe(all.length);
    for (const key of all) expect(key).toMatch(/^[0-9a-f]{64}$/);
  });

  it('runs a step once over all attempts, and returns it with its types', async () => {
    const charged = { at: new Date(1), amount: 10n, raw: Buffer.from('r') };
    let charges = 0;
    const charge = ({ step }: { step: IdempotentOperation['step'] }) =>
      step('charge', () => {
        charges += 1;
        return charged;
      });
    const fail = async (operation: IdempotentOperation) => {
      await charge({ step: (name, fn) => operation.step(name, fn) });
      throw new Error('after the charge');
    };
    await failureOf(invoice(fail));
    expect(await service.find(INVOICE)).toMatchObject({ state: 'released', steps: ['charge'] });
    const again = await invoice(async (operation) => {
      const both = await Promise.all([1, 2].map(() => operation.step('charge', () => charged)));
      expect(both[0]).toStrictEqual(both[1]);
      return both[0];
    });
    expect(again).toStrictEqual(charged);
    expect(charges).toBe(1);
  });

  it('repeats a step that failed', async () => {
    let tries = 0;
    const value = await invoice(async (operation) => {
      const flaky = () =>
        operation.step('flaky', async () => {
          tries += 1;
          await Promise.resolve();
          if (tries === 1) throw new Error('once');
          return tries;
        });
      expect(await failureOf(flaky())).toMatchObject({ message: 'once' });
      return [await flaky(), await flaky()];
    });
    expect(value).toEqual([2, 2]);
  });

  it('is held when it needs the result of a step that was not kept: the step has run', async () => {
    let charges = 0;
    const charge = async (operation: IdempotentOperation) => {
      const { refund } = await operation.step('charge', () => {
        charges += 1;
        return { refund: () => 'refunded' };
      });
      throw new Error(refund());
    };
    // Nothing is missing as long as this attempt has the result itself.
    expect(await failureOf(invoice(charge))).toMatchObject({ message: 'refunded' });
    expect(await service.find(INVOICE)).toMatchObject({ state: 'released' });
    await expectRefused(invoice(charge), 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    await expectRefused(invoice(charge), 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(charges).toBe(1);
    expect(await service.find(INVOICE)).toMatchObject({
      state: 'held',
      reason: 'the result of step "charge" was not kept',
    });
  });

  it('ends as it does, if no later attempt needs the result of a step', async () => {
    let charges = 0;
    const charge = async (operation: IdempotentOperation): Promise<string> => {
      const refund = await operation.step('charge', () => {
        charges += 1;
        return () => 'refunded';
      });
      return refund();
    };
    expect([await invoice(charge), await invoice(charge)]).toEqual(['refunded', 'refunded']);
    expect(charges).toBe(1);
  });

  it('is held on demand, at once', async () => {
    const value = await invoice(async (operation) => {
      await operation.hold('the bank is silent');
      await expectRefused(
        invoice(() => 'no'),
        'IDEMPOTENCY_OUTCOME_UNKNOWN',
      );
      return 'told';
    });
    expect(value).toBe('told');
    expect(await service.find(INVOICE)).toMatchObject({
      state: 'held',
      reason: 'the bank is silent',
      ttlRemainingMs: undefined,
    });
    await clock.advance(365 * 86_400_000);
    await expectRefused(
      invoice(() => 'no'),
      'IDEMPOTENCY_OUTCOME_UNKNOWN',
    );
    expect(runs).toBe(1);
  });

  it('says how long its reply is kept', async () => {
    await invoice((operation) => operation.setTtl('2h'), { ttl: '1m' });
    expect(await service.find(INVOICE)).toMatchObject({ ttlRemainingMs: 7_200_000 });
    const wrong = await failureOf(
      invoice((operation) => operation.setTtl('soon'), { key: 'no-3' }),
    );
    expect(wrong).toMatchObject({ message: expect.stringMatching(/"setTtl\(\)" is "soon"/) });
  });

  it('is told when its lease is lost, and then changes nothing', async () => {
    const gate = new Gate();
    let signal: AbortSignal | undefined;
    const first = invoice(
      async (operation) => {
        signal = operation.signal;
        await gate.pass();
        return 'loser';
      },
      { lease: '3s' },
    );
    await gate.reached();
    store.always('extend', failBefore());
    await clock.advance(3_000);
    expect(signal?.aborted).toBe(true);
    store.heal();
    expect(await invoice(({ attempt }) => `winner ${attempt}`)).toBe('winner 2');
    gate.open();
    expect(await first).toBe('winner 2');
    expect(await invoice(() => 'no')).toBe('winner 2');
  });
});

describe('run() inside of run()', () => {
  it('keeps inner and outer operations apart', async () => {
    const seen: (string | undefined)[] = [];
    const note = () => seen.push(service.current()?.key);
    const outer = () =>
      invoice(async () => {
        note();
        const inner = await invoice(
          async () => {
            await Promise.resolve();
            note();
            return 'inner';
          },
          { key: 'no-2' },
        );
        note();
        return `outer of ${inner}`;
      });
    note();
    expect(await outer()).toBe('outer of inner');
    note();
    expect(seen).toEqual([undefined, 'no-1', 'no-2', 'no-1', undefined]);
    expect(await outer()).toBe('outer of inner');
    expect(runs).toBe(2);
  });

  it('refuses the key that is running already, instead of waiting for itself', async () => {
    await expectRefused(
      invoice(() => invoice(() => 'never')),
      'IDEMPOTENCY_KEY_IN_USE',
    );
    expect(runs).toBe(1);
  });

  it('keeps the inner result when the outer one fails', async () => {
    let inner = 0;
    const work = () =>
      invoice(async ({ attempt }) => {
        const value = await service.run({ scope: 'inner', key: 'k' }, () => ++inner);
        if (attempt === 1) throw new Error('after the inner one');
        return { attempt, value };
      });
    await failureOf(work());
    expect(await work()).toEqual({ attempt: 2, value: 1 });
  });
});

describe('current()', () => {
  it('is the operation wherever the code of it is, and nothing outside', async () => {
    expect(service.current()).toBeUndefined();
    await invoice(async (operation) => {
      expect(service.current()).toBe(operation);
      await new Promise((resolve) => setImmediate(resolve));
      expect(service.current()).toBe(operation);
      await Promise.all([1, 2].map(async () => expect(service.current()).toBe(operation)));
    });
    expect(service.current()).toBeUndefined();
  });

  it('is there without a claim, when the store is down and the call goes on', async () => {
    store.always('acquire', failBefore());
    const run = () =>
      invoice(
        async (operation) => {
          expect(service.current()).toBe(operation);
          expect(operation).toMatchObject({ key: 'no-1', attempt: 1, fencingToken: 0 });
          await operation.hold('nothing to hold');
          operation.setTtl(1);
          return operation.step('step', () => runs);
        },
        { onStoreFailure: 'proceed' },
      );
    expect([await run(), await run()]).toEqual([1, 2]);
  });
});

describe('find() and forget()', () => {
  it('tell what is on record, and nothing of the reply', async () => {
    expect(await service.find(INVOICE)).toBeUndefined();
    await invoice(async (operation) => {
      await operation.step('charge', () => 1);
      expect(await service.find(INVOICE)).toMatchObject({
        state: 'in-flight',
        attempt: 1,
        fencingToken: operation.fencingToken,
        steps: ['charge'],
        reason: undefined,
        leaseRemainingMs: 30_000,
        ttlRemainingMs: expect.any(Number),
      });
      return 'secret-reply';
    });
    const found = await service.find(INVOICE);
    expect(found).toMatchObject({
      state: 'completed',
      attempt: 1,
      leaseRemainingMs: undefined,
      ttlRemainingMs: 86_400_000,
    });
    expect(inspect(found, { depth: 9 })).not.toContain('secret-reply');
    expect(await service.find({ ...INVOICE, principal: 'alice' })).toBeUndefined();
  });

  it('leave a live lease alone', async () => {
    await invoice(async () => {
      expect(await service.forget(INVOICE)).toBe(false);
      await expectRefused(
        invoice(() => 'no'),
        'IDEMPOTENCY_KEY_IN_USE',
      );
    });
    expect(await service.find(INVOICE)).toMatchObject({ state: 'completed' });
  });

  it('let the next call run as if there had been none', async () => {
    await failureOf(invoice(() => Promise.reject(new Error('once'))));
    await invoice(({ attempt }) => attempt);
    expect(await service.forget(INVOICE)).toBe(true);
    expect(await service.forget(INVOICE)).toBe(false);
    expect(await service.find(INVOICE)).toBeUndefined();
    expect(await invoice(({ attempt }) => attempt)).toBe(1);
  });
});

describe('settle()', () => {
  const hold = () => invoice((operation) => operation.hold('unknown'));

  it('lets the next call run as another attempt', async () => {
    await hold();
    expect(await service.settle(INVOICE, 'release')).toBe(true);
    expect(await invoice(({ attempt }) => attempt)).toBe(2);
  });

  it('records a reply, which keeps its types', async () => {
    await hold();
    const value = { paidAt: new Date(1), amount: 1n };
    expect(await service.settle(INVOICE, recoveredReply(value))).toBe(true);
    expect(await service.find(INVOICE)).toMatchObject({
      state: 'completed',
      ttlRemainingMs: 86_400_000,
    });
    expect(await invoice(() => value)).toStrictEqual(value);
    expect(runs).toBe(1);
  });

  it('settles nothing that is not held', async () => {
    const settle = () => service.settle(INVOICE, recoveredReply('b'));
    expect(await settle()).toBe(false);
    await invoice(async () => {
      expect(await settle()).toBe(false);
      expect(await service.settle(INVOICE, 'release')).toBe(false);
      return 'a';
    });
    expect(await settle()).toBe(false);
    expect(await service.settle(INVOICE, 'release')).toBe(false);
    expect(await invoice(() => 'c')).toBe('a');
  });

  it('settles once', async () => {
    await hold();
    expect(await service.settle(INVOICE, recoveredReply('a'))).toBe(true);
    expect(await service.settle(INVOICE, recoveredReply('b'))).toBe(false);
    expect(await invoice(() => 'c')).toBe('a');
  });
});

describe('onAbandoned', () => {
  /** A run whose owner falls silent. */
  const abandon = async (fn: (operation: IdempotentOperation) => Promise<unknown>) => {
    const gate = new Gate();
    const silent = invoice(
      async (operation) => {
        await fn(operation);
        await gate.pass();
      },
      { lease: '3s' },
    );
    await gate.reached();
    store.always('extend', failBefore());
    await clock.advance(3_000);
    store.heal();
    return async () => {
      gate.open();
      return silent;
    };
  };

  it.each([
    ['holds the operation', false, { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' }],
    ['is an error that it can catch', true, 'found out'],
  ])('asks for the result of a step that was not kept: that %s', async (_, catches, outcome) => {
    const wakeUp = await abandon(async (operation) => {
      await operation.step('charge', () => () => 'a receipt');
    });
    const value = invoice(() => 'never', {
      onAbandoned: (call) => {
        try {
          call.stepResult('charge');
        } catch (error) {
          if (!catches) throw error;
        }
        return recoveredReply('found out');
      },
    });
    const error = (thrown: { code: string }) => ({ code: thrown.code });
    expect(await value.catch(error)).toEqual(outcome);
    await wakeUp().catch(() => undefined);
    expect(runs).toBe(1);
  });

  it('is asked before an abandoned operation runs again, with its steps and keys', async () => {
    let derived = '';
    const wakeUp = await abandon(async (operation) => {
      derived = operation.deriveKey('stripe');
      await operation.step('charge', () => new Date(5));
    });
    const value = await invoice(() => 'never', {
      onAbandoned: (call) => {
        expect(call).toMatchObject({ scope: 'invoice', key: 'no-1', attempt: 2 });
        expect(call.deriveKey('stripe')).toBe(derived);
        expect(call.stepResult('charge')).toStrictEqual(new Date(5));
        expect(call.stepResult('other')).toBeUndefined();
        return recoveredReply('found out');
      },
    });
    expect(value).toBe('found out');
    expect(await wakeUp()).toBe('found out');
    expect(runs).toBe(1);
  });

  it('holds an abandoned operation when it says so', async () => {
    const wakeUp = await abandon(async () => Promise.resolve());
    await expectRefused(
      invoice(() => 'never', { onAbandoned: 'hold' }),
      'IDEMPOTENCY_OUTCOME_UNKNOWN',
    );
    await failureOf(wakeUp());
    expect(runs).toBe(1);
  });
});

describe('what is reported', () => {
  const SECRET = 'secret-4711';
  let heard: IdempotencyEvent[];
  let published: IdempotencyEvent[];
  const publish = (event: unknown) => published.push(event as IdempotencyEvent);

  beforeEach(() => {
    heard = [];
    published = [];
    for (const type of EVENT_TYPES) subscribe(CHANNEL_PREFIX + type, publish);
    service.events$.subscribe((event) => heard.push(event));
  });
  afterEach(() => {
    for (const type of EVENT_TYPES) unsubscribe(CHANNEL_PREFIX + type, publish);
  });

  it('is the same on events$ and on the channels, and shows no key, content or reply', async () => {
    const key = SECRET;
    const secret = { key, content: { text: SECRET } };
    const gate = new Gate();
    const first = invoice(async () => {
      await gate.pass();
      return SECRET;
    }, secret);
    await gate.reached();
    const waiting = invoice(() => 'no', { ...secret, wait: '1s' });
    gate.open();
    await Promise.all([first, waiting]);
    await expectRefused(
      invoice(() => 'no', { key, content: 1 }),
      'IDEMPOTENCY_KEY_REUSED',
    );
    await failureOf(
      invoice(
        async (operation) => {
          await operation.step(SECRET, () => SECRET);
          throw new Error(SECRET);
        },
        { key: ['b', SECRET] },
      ),
    );
    await invoice((operation) => operation.hold('asked for'), { key: ['c', SECRET] });
    await service.settle({ ...INVOICE, key: ['c', SECRET] }, recoveredReply(SECRET));
    expect(heard.map(({ type }) => type)).toEqual([
      'claimed',
      'executed',
      'stored',
      'replayed',
      'waited',
      'rejected',
      'claimed',
      'executed',
      'released',
      'claimed',
      'executed',
      'held',
      'settled',
    ]);
    expect(published).toEqual(heard);
    for (const [at, event] of heard.entries()) expect(published[at]).toBe(event);
    expect(new Set(heard.map(({ scope }) => scope))).toEqual(new Set(['invoice']));
    expect(inspect(heard, { depth: 9 })).not.toContain(SECRET);
    for (const { id } of heard) expect(id).toMatch(/^[0-9a-f]{64}$/);
  });

  it('ends with the application', async () => {
    let isComplete = false;
    service.events$.subscribe({ complete: () => (isComplete = true) });
    await close();
    expect(isComplete).toBe(true);
    await start();
  });
});

describe('a wrong option of run()', () => {
  it.each<[string, Record<string, unknown>]>([
    ['ttl', { ttl: '10 parsecs' }],
    ['ttl', { ttl: 0 }],
    ['lease', { lease: -1 }],
    ['wait', { wait: 'soon' }],
    ['retryAfter', { retryAfter: {} }],
    ['onDuplicate', { onDuplicate: 'ignore' }],
    ['onAbandoned', { onAbandoned: 'retry' }],
    ['onStoreFailure', { onStoreFailure: 'hope' }],
    ['onError', { onError: 'retry' }],
    ['onError', { onError: true }],
    ['onAbandoned', { onAbandoned: true }],
    ['recover', { recover: 'rerun' }],
    ['tll', { tll: '1h' }],
    ['required', { required: false }],
    ['fingerprint', { fingerprint: false }],
    ['strategy', { strategy: 'token' }],
  ])('is told with its place, before the store is asked: %s of %j', async (option, options) => {
    const error = await failureOf(invoice(() => 1, options as Partial<RunOptions>));
    expect(isIdempotencyConfigurationError(error)).toBe(true);
    expect((error as Error).message).toMatch(
      new RegExp(
        `^Idempotency option "${option} of IdempotencyService\\.run\\(\\)" is .+\\. Accepted: .+\\. .+\\.$`,
      ),
    );
    expect((error as Error).message).not.toContain('@Idempotent()');
    expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
  });

  it.each<[string, Record<string, unknown>]>([
    ['scope', { scope: '' }],
    ['scope', { scope: undefined }],
    ['principal', { principal: { id: 'alice' } }],
    ['principal', { principal: Number.NaN }],
    ['principal', { principal: true }],
  ])('that names the operation is told everywhere: %s in %j', async (option, options) => {
    const ref = { ...INVOICE, ...options } as RunOptions;
    for (const call of [
      () => service.run(ref, () => ++runs),
      () => service.find(ref),
      () => service.forget(ref),
      () => service.settle(ref, 'release'),
    ]) {
      const error = await failureOf(call());
      expect(isIdempotencyConfigurationError(error)).toBe(true);
      expect((error as Error).message).toMatch(
        new RegExp(`^Idempotency option "${option}" is .+\\. Accepted: .+\\. .+\\.$`),
      );
    }
    expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
  });

  it('takes null for an anonymous caller, as the principal option does', async () => {
    await invoice(() => 'a');
    expect(await invoice(() => 'b', { principal: null as unknown as undefined })).toBe('a');
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['an empty one', ''],
    ['too long a one', 'k'.repeat(256)],
    ['control characters', 'secret\u0000'],
    ['an object', { id: 'secret' }],
    ['no parts', []],
    ['a part that is missing', ['a', undefined]],
    ['a part that is an object', ['a', { id: 'secret' }]],
  ])('that is no key is told without showing it: %s', async (_name, key) => {
    const error = await failureOf(invoice(() => 1, { key: key as string }));
    expect(isInvalidKeyError(error)).toBe(true);
    expect(String(error)).not.toContain('secret');
    expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
  });

  it.each<[string, unknown]>([
    ['a function', () => 1],
    ['a promise', Promise.resolve(1)],
  ])('that cannot be compared is told: content of %s', async (_name, content) => {
    const error = await failureOf(invoice(() => 1, { content }));
    expect(isFingerprintUnavailableError(error)).toBe(true);
    expect({ runs, calls: store.count() }).toEqual({ runs: 0, calls: 0 });
  });
});

describe("the module's defaults", () => {
  it('count for run() where it says nothing', async () => {
    await close();
    await start({ defaults: { ttl: '1m', onDuplicate: 'reject' }, problemBaseUrl: 'https://p/' });
    await invoice(() => 'a');
    expect(await service.find(INVOICE)).toMatchObject({ ttlRemainingMs: 60_000 });
    const refused = await expectRefused(
      invoice(() => 'b'),
      'IDEMPOTENCY_DUPLICATE',
    );
    expect(refused.problem.type).toBe('https://p/duplicate');
    expect(await invoice(() => 'b', { onDuplicate: 'replay', ttl: undefined })).toBe('a');
  });
});

describe('a store that is down', () => {
  const calls: [string, () => Promise<unknown>][] = [
    ['run()', () => invoice(() => 1)],
    ['find()', () => service.find(INVOICE)],
    ['forget()', () => service.forget(INVOICE)],
    ['settle()', () => service.settle(INVOICE, 'release')],
  ];

  it.each(calls)('is told by %s', async (_name, call) => {
    for (const verb of ['acquire', 'find', 'forget'] as const)
      store.always(verb, failBefore(new Error('secret host name')));
    const refused = await expectRefused(call(), 'IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(JSON.stringify(refused.problem)).not.toContain('secret');
    expect(runs).toBe(0);
  });

  it.each(calls)('is told by %s within the time-out when it hangs', async (_name, call) => {
    for (const verb of ['acquire', 'find', 'forget'] as const) store.always(verb, hang());
    const answer = failureOf(call());
    await clock.advance(2_000);
    expect(await answer).toMatchObject({ code: 'IDEMPOTENCY_STORE_UNAVAILABLE' });
    expect(runs).toBe(0);
  });

  it('gives the value that was made, and records it later', async () => {
    store.next('complete', failBefore());
    expect(await invoice(() => 'a')).toBe('a');
    for (let i = 0; i < 10; i++) await clock.advance(1_000);
    expect(await service.find(INVOICE)).toMatchObject({ state: 'completed' });
    expect(await invoice(() => 'b')).toBe('a');
  });
});

@Injectable()
class Ledger {
  constructor(readonly idempotency: IdempotencyService) {}

  /** Code that has no operation handed to it. */
  note(): string | undefined {
    return this.idempotency.current()?.scope;
  }
}

@Controller()
class Payments {
  constructor(private readonly ledger: Ledger) {}

  @Idempotent()
  @Post('held')
  async held(@Operation() operation: IdempotentOperation): Promise<unknown> {
    runs += 1;
    if (operation.attempt === 1) await operation.hold('unknown');
    return { run: runs, attempt: operation.attempt };
  }

  @Idempotent()
  @Post('noted')
  async noted(@Operation() operation: IdempotentOperation): Promise<unknown> {
    const outer = this.ledger.note();
    const inner = await this.ledger.idempotency.run({ scope: 'inner', key: 'k' }, () => {
      runs += 1;
      return this.ledger.note();
    });
    return {
      same: this.ledger.idempotency.current() === operation,
      outer,
      inner,
      again: this.ledger.note(),
    };
  }

  @Post('plain')
  plain(@Operation() operation?: IdempotentOperation): unknown {
    return { note: this.ledger.note() ?? null, operation: operation ?? null };
  }
}

describe.each(PLATFORMS)('the service beside handlers on %s', (platform) => {
  let test: TestApp;
  let idempotency: IdempotencyService;
  beforeEach(async () => {
    test = await boot(platform, { controllers: [Payments], providers: [Ledger] });
    idempotency = test.app.get(IdempotencyService);
  });
  afterEach(() => test.close());

  const HELD = { scope: 'POST /held', key: 'k' } as const;
  const send = () => test.send('/held', { key: 'k' });

  it('lets a held operation run as another attempt', async () => {
    await send();
    expectProblem(await send(), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(await idempotency.settle(HELD, 'release')).toBe(true);
    const second = await send();
    expect(second.json()).toEqual({ run: 2, attempt: 2 });
    expectReplay(second, await send());
  });

  it.each<[string, ReturnType<typeof recoveredReply>, number, string, string, string | undefined]>([
    [
      'an object',
      recoveredReply({ id: 7 }, { status: 201, headers: { Location: '/payments/7' } }),
      201,
      'application/json; charset=utf-8',
      '{"id":7}',
      '/payments/7',
    ],
    ['text', recoveredReply('paid'), 200, 'text/plain; charset=utf-8', 'paid', undefined],
    [
      'bytes',
      recoveredReply(Buffer.from('%PDF'), { headers: { 'content-type': 'application/pdf' } }),
      200,
      'application/pdf',
      '%PDF',
      undefined,
    ],
  ])(
    'settles a held operation with a reply: %s',
    async (_name, reply, status, type, text, location) => {
      await send();
      expect(await idempotency.settle(HELD, reply)).toBe(true);
      const retry = await send();
      expect({ status: retry.status, text: retry.text }).toEqual({ status, text });
      expect(retry.headers).toMatchObject({ 'content-type': type, 'idempotent-replayed': 'true' });
      expect(retry.headers.location).toBe(location);
      expect(runs).toBe(1);
    },
  );

  it('settles with nothing but a status', async () => {
    await send();
    await idempotency.settle(HELD, recoveredReply(undefined, { status: 204 }));
    expect(await send()).toMatchObject({ status: 204, text: '' });
  });

  it('knows the operation in code that is not handed one, and none elsewhere', async () => {
    const noted = await test.send('/noted', { key: 'k' });
    expect(noted.json()).toEqual({
      same: true,
      outer: 'POST /noted',
      inner: 'inner',
      again: 'POST /noted',
    });
    expectReplay(noted, await test.send('/noted', { key: 'k' }));
    expect((await test.send('/plain', { key: 'k' })).json()).toEqual({
      note: null,
      operation: null,
    });
    expect(runs).toBe(1);
  });

  it('answers neither way from a record of the other', async () => {
    await test.send('/noted', { key: 'shared' });
    await expectRefused(
      idempotency.run({ scope: 'POST /noted', key: 'shared' }, () => 'no'),
      'IDEMPOTENCY_RECORD_UNREADABLE',
    );
    await eventually(() => true);
  });
});
