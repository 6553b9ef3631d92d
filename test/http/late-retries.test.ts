import { Body, Controller, Post } from '@nestjs/common';
import {
  header,
  Idempotent,
  MemoryStore,
  Operation,
  type IdempotentOperation,
  repeatability,
  signature,
} from 'nestjs-idempotency';
import { ManualClock } from 'nestjs-idempotency/testing';
import { randomUUID } from 'node:crypto';
import { siblingOf, uuidV7 } from '../../src/operation/uuid-v7.js';
import {
  boot,
  bootError,
  expectProblem,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** A UUIDv7 that was made so long ago. */
function uuidOf(agoMs: number): string {
  const time = (Date.now() - agoMs).toString(16).padStart(12, '0');
  const dated = `${time.slice(0, 8)}-${time.slice(8)}${uuidV7().slice(13)}`;
  return siblingOf(dated, Buffer.from(randomUUID().slice(0, 8)));
}

const dateOf = (agoMs: number): string => new Date(Date.now() - agoMs).toUTCString();

/** CORS exposes the mark of a replay too. */
function expectSame(first: Reply, second: Reply): void {
  expect(second.headers).toHaveProperty('idempotent-replayed', 'true');
  expect([second.status, second.text]).toEqual([first.status, first.text]);
}

describe.each(PLATFORMS)('a retry after its record is gone, on %s', (platform) => {
  let test: TestApp;
  let runs: number;
  const clock = new ManualClock();

  @Controller()
  class Payments {
    @Idempotent({ maxAge: '1h' })
    @Post('payments')
    pay() {
      runs += 1;
      return { run: runs };
    }

    @Idempotent({ key: [header('X-Client-Id'), header()], maxAge: '1h', ttl: '1h' })
    @Post('transfers')
    transfer(@Operation() operation: IdempotentOperation) {
      operation.setTtl('1s');
      runs += 1;
      return { run: runs };
    }

    @Idempotent({ key: repeatability() })
    @Post('repeatable')
    repeat(@Body() body: { amount?: number }) {
      runs += 1;
      return { run: runs, ...body };
    }
  }

  beforeAll(async () => {
    const store = new MemoryStore({ clock });
    const controllers = [Payments];
    test = await boot(platform, {
      controllers,
      idempotency: { store },
      configure: (app) => app.enableCors({ origin: 'https://shop.example' }),
    });
  });
  beforeEach(() => {
    runs = 0;
  });
  afterAll(() => test.close());

  const pay = (key: string) => test.send('/payments', { key });

  it('is refused by the time in its key, and never runs', async () => {
    expectProblem(await pay(uuidOf(HOUR_MS + 1)), 412, 'IDEMPOTENCY_KEY_EXPIRED');
    expect((await pay(uuidOf(HOUR_MS - MINUTE_MS))).status).toBe(201);
    expect(runs).toBe(1);
  });

  it('is answered from its record while there is one, however old its key is', async () => {
    const key = uuidOf(0);
    const first = await pay(key);
    const { now } = Date;
    Date.now = () => now() + 2 * HOUR_MS;
    try {
      expectSame(first, await pay(key));
    } finally {
      Date.now = now;
    }
    expect(runs).toBe(1);
  });

  it('is refused for a key without a time, and for one from the future', async () => {
    const withoutTime = await pay(randomUUID());
    expectProblem(withoutTime, 400, 'IDEMPOTENCY_KEY_INVALID');
    expect((withoutTime.json() as { detail: string }).detail).toContain('Send a UUIDv7');
    expectProblem(await pay(uuidOf(-2 * MINUTE_MS)), 400, 'IDEMPOTENCY_KEY_INVALID');
    expect((await pay(uuidOf(-30_000))).status).toBe(201);
    expect(runs).toBe(1);
  });

  it('finds its record as long as its key is young enough, whatever setTtl() says', async () => {
    const key = uuidOf(0);
    const send = () => test.send('/transfers', { key, headers: { 'x-client-id': 'c1' } });
    const first = await send();
    await clock.advance(58 * MINUTE_MS);
    expectSame(first, await send());
    // As old as a key may be, with clocks a minute apart, is younger than its record becomes.
    const old = { key: uuidOf(HOUR_MS - MINUTE_MS + 1), headers: { 'x-client-id': 'c1' } };
    expectProblem(await test.send('/transfers', old), 412, 'IDEMPOTENCY_KEY_EXPIRED');
  });

  describe('with the headers of OASIS Repeatable Requests', () => {
    const send = (id: string | undefined, sent: string | undefined, more: object = {}) =>
      test.send('/repeatable', {
        body: { amount: 1 },
        ...more,
        headers: {
          origin: 'https://shop.example',
          ...(id !== undefined && { 'repeatability-request-id': id }),
          ...(sent !== undefined && { 'repeatability-first-sent': sent }),
        },
      });

    it('is accepted, and so is its replay', async () => {
      const id = randomUUID();
      const first = await send(id, dateOf(0));
      const second = await send(id, dateOf(0));
      expectSame(first, second);
      for (const { headers } of [first, second]) {
        expect(headers).toHaveProperty('repeatability-result', 'accepted');
        expect(headers['access-control-expose-headers']).toContain('Repeatability-Result');
      }
      expect(runs).toBe(1);
    });

    it.each([
      ['first sent too long ago', () => [randomUUID(), dateOf(24 * HOUR_MS)] as const, 412],
      ['without a date', () => [randomUUID(), undefined] as const, 400],
      ['without an id', () => [undefined, dateOf(0)] as const, 400],
      ['with a date of another form', () => [randomUUID(), new Date().toISOString()] as const, 400],
      [
        'with a day that does not exist',
        () => [randomUUID(), 'Sat, 31 Feb 2026 10:00:00 GMT'] as const,
        400,
      ],
      ['with two ids', () => ['a, b', dateOf(0)] as const, 400],
      ['without both', () => [undefined, undefined] as const, 400],
    ])('is rejected %s', async (_what, given, status) => {
      const [id, sent] = given();
      const reply = await send(id, sent);
      expect([reply.status, reply.headers['repeatability-result']]).toEqual([status, 'rejected']);
      expect(runs).toBe(0);
    });

    it('is rejected with 400 for other content', async () => {
      const id = randomUUID();
      await send(id, dateOf(0));
      const other = await send(id, dateOf(0), { body: { amount: 2 } });
      expectProblem(other, 400, 'IDEMPOTENCY_KEY_REUSED');
      expect(other.headers).toHaveProperty('repeatability-result', 'rejected');
      expect(runs).toBe(1);
    });
  });
});

it('means nothing to a strategy whose keys have no time, if it is a default', async () => {
  @Controller()
  class Locked {
    @Idempotent({ strategy: 'lock', key: header() })
    @Post('locked')
    lock() {
      return {};
    }
  }
  const idempotency = { defaults: { maxAge: '1h' } } as const;
  const test = await boot('express', { controllers: [Locked], idempotency });
  expect((await test.send('/locked', { key: 'k1' })).status).toBe(201);
  await test.close();
});

describe('a declaration that could not keep the promise does not boot', () => {
  it.each([
    ['a time longer than the record is kept', { maxAge: '2h', ttl: '1h' }, 'no longer than ttl'],
    ['a key that is the content', { key: signature(), maxAge: '1h' }, 'has no time'],
    ['a lock, which keeps nothing', { strategy: 'lock', maxAge: '1h' }, "Strategy 'lock'"],
  ] as const)('with %s', async (_what, options, said) => {
    @Controller()
    class Wrong {
      @Idempotent(options as object)
      @Post('payments')
      pay() {}
    }
    const error = await bootError('express', { controllers: [Wrong] });
    expect(error.message).toContain('maxAge of Wrong.pay');
    expect(error.message).toContain(said);
  });
});
