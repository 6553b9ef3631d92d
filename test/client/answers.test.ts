import { createHash } from 'node:crypto';
import { REFUSALS } from '../../src/engine/refusals.js';
import {
  createIdempotentFetch,
  type IdempotentFetch,
  type IdempotentFetchOptions,
  type Retry,
} from 'nestjs-idempotency/client';
import { RETRYABLE_CODES } from '../../src/client/refusal.js';
import { digestOf, newKey } from '../../src/client/random.js';
import { Gateway, type Step } from './support/gateway.js';
import { posting, TabStorage } from './support/shop.js';

const UNKNOWN = 'IDEMPOTENCY_OUTCOME_UNKNOWN';
const IN_USE = 'IDEMPOTENCY_KEY_IN_USE';

describe('what the client makes of an answer', () => {
  let gateway: Gateway;
  let storage: TabStorage;

  beforeAll(async () => {
    gateway = await Gateway.start();
  });
  beforeEach(() => (storage = new TabStorage()));
  afterAll(() => gateway.stop());

  const client = (options: IdempotentFetchOptions = {}): IdempotentFetch =>
    createIdempotentFetch({ storage, baseDelayMs: 1, maxDelayMs: 5, ...options });
  const pay = (options?: IdempotentFetchOptions): Promise<Response> =>
    client(options)(gateway.url, { ...posting({ amount: 5 }), intent: 'pay' });

  const later: readonly (readonly [string, Step])[] = [
    ['409 with Retry-After', { status: 409, headers: { 'Retry-After': '0' } }],
    ['429', { status: 429, body: 'Slow down.' }],
    ['502 of a gateway', { status: 502, body: '<h1>Bad gateway</h1>' }],
    ['503', { status: 503, body: { message: 'later' } }],
    ['504', { status: 504 }],
    ['a cut connection', 'cut'],
    ['a retryable code in the header', { status: 418, headers: { 'Idempotency-Error': IN_USE } }],
    ['a retryable code in any JSON', { status: 400, body: { error: { code: IN_USE } } }],
    ['retryable: true in any JSON', { status: 400, body: { retryable: true } }],
  ];
  it.each(later)('repeats %s with the same key', async (_name, step) => {
    gateway.tell(step, step);
    const response = await pay();
    expect(response.status).toBe(201);
    expect(gateway.keys).toEqual([gateway.keys[0], gateway.keys[0], gateway.keys[0]]);
    expect(storage.values.size).toBe(0);
  });

  const replayed = { 'Idempotent-Replayed': 'true' };
  const last: readonly (readonly [string, Step & object])[] = [
    ['409 without Retry-After', { status: 409, body: { message: 'no' } }],
    ['422', { status: 422, body: { code: 'IDEMPOTENCY_KEY_REUSED', retryable: false } }],
    ['a 503 that is on record', { status: 503, headers: replayed, body: { message: 'no' } }],
    [
      'a code that is final, whatever stands beside it',
      {
        status: 409,
        headers: { 'Idempotency-Error': 'IDEMPOTENCY_DUPLICATE', 'Retry-After': '0' },
      },
    ],
  ];
  it.each(last)('takes %s for the last word', async (_name, step) => {
    gateway.tell(step);
    expect((await pay()).status).toBe(step.status);
    expect(gateway.keys).toHaveLength(1);
    expect(storage.values.size).toBe(0);
  });

  const open: readonly (readonly [string, Step & object])[] = [
    ['an unknown outcome, by header', { status: 409, headers: { 'Idempotency-Error': UNKNOWN } }],
    ['an unknown outcome, by body', { status: 400, body: { errors: [{ code: UNKNOWN }] } }],
    [
      'an unknown outcome with Retry-After',
      { status: 409, headers: { 'Idempotency-Error': UNKNOWN, 'Retry-After': '0' } },
    ],
    ['408', { status: 408 }],
    ['500', { status: 500, body: { message: 'Internal server error' } }],
  ];
  it.each(open)('shows %s, and keeps the key for the next press', async (_name, step) => {
    gateway.tell(step, step);
    expect((await pay()).status).toBe(step.status);
    expect((await pay()).status).toBe(step.status);
    expect(gateway.keys).toHaveLength(2);
    await pay();
    expect(new Set(gateway.keys).size).toBe(1);
  });

  it('repeats what the application says', async () => {
    gateway.tell({ status: 425, body: { state: 'warming up' } });
    const retryOn = async (response: Response): Promise<boolean> =>
      response.status === 425 && 'state' in ((await response.json()) as object);
    expect((await pay({ retryOn })).status).toBe(201);
    expect(new Set(gateway.keys).size).toBe(1);
  });

  it('tells of every wait', async () => {
    gateway.tell('cut', { status: 503 });
    const told: unknown[] = [];
    const onRetry = ({ response, error, ...retry }: Retry): unknown =>
      told.push({ ...retry, status: response?.status, failed: error !== undefined });
    await pay({ onRetry });
    const delayMs = expect.any(Number) as number;
    expect(told).toEqual([
      { attempts: 1, delayMs, status: undefined, failed: true },
      { attempts: 2, delayMs, status: 503, failed: false },
    ]);
  });

  it('sends a key that the caller has set, and keeps nothing', async () => {
    gateway.tell({ status: 503 });
    const { headers, ...init } = posting({ amount: 5 });
    await client()(gateway.url, {
      ...init,
      headers: { ...(headers as object), 'Idempotency-Key': 'my own' },
      intent: 'pay',
    });
    expect(gateway.keys).toEqual(['my own', 'my own']);
    expect(storage.values.size).toBe(0);
  });

  it.each(['clé', 'k'.repeat(256), ''])('does not send "%s" as a key', async (key) => {
    gateway.tell();
    const headers = { 'Idempotency-Key': key };
    const sent = client()(gateway.url, { method: 'POST', headers });
    await expect(sent).rejects.toThrow(/1 to 255 characters of visible ASCII/);
    expect(gateway.keys).toEqual([]);
  });

  it('waits for a storage that answers later', async () => {
    const slow = {
      getItem: async (name: string) => storage.getItem(name),
      setItem: async (name: string, value: string) => storage.setItem(name, value),
      removeItem: async (name: string) => storage.values.delete(name),
    };
    gateway.tell({ status: 500 });
    await pay({ storage: slow });
    await pay({ storage: slow });
    expect(new Set(gateway.keys).size).toBe(1);
    expect(storage.values.size).toBe(0);
  });

  describe('to calls of one intent at the same time', () => {
    const twice = (send: IdempotentFetch, ...signals: AbortSignal[]): Promise<unknown>[] =>
      [0, 1].map(async (at) => {
        const response = await send(gateway.url, {
          ...posting({ amount: 5 }),
          intent: 'pay',
          signal: signals[at],
        });
        return response.json();
      });

    it('is one, and each may read it', async () => {
      gateway.tell({ status: 503 });
      expect(await Promise.all(twice(client()))).toEqual([{ done: true }, { done: true }]);
      expect(gateway.keys).toHaveLength(2);
      await pay();
      expect(new Set(gateway.keys).size).toBe(2);
    });

    it('is never shared by two callers', async () => {
      gateway.tell();
      const send = client();
      const pay = (token: string): Promise<Response> => {
        const given = posting({ amount: 5 });
        const headers = new Headers(given.headers);
        headers.set('Authorization', `Bearer ${token}`);
        return send(gateway.url, { ...given, headers, intent: 'pay' });
      };
      await Promise.all(['alice', 'bob'].map(pay));
      expect(gateway.keys).toHaveLength(2);
    });

    it('comes to those who still wait when one has left', async () => {
      gateway.tell({ status: 503, headers: { 'Retry-After': '1' } });
      const leaving = new AbortController();
      const [left, staying] = twice(client(), leaving.signal);
      leaving.abort(new Error('gone'));
      await expect(left).rejects.toThrow('gone');
      expect(await staying).toEqual({ done: true });
    });

    it('is given up when all have left', async () => {
      gateway.tell({ status: 503, headers: { 'Retry-After': '30' } });
      const leaving = new AbortController();
      const send = client({ onRetry: () => leaving.abort(new Error('gone')) });
      const ended = await Promise.allSettled(twice(send, leaving.signal, leaving.signal));
      const gone = { status: 'rejected', reason: new Error('gone') };
      expect(ended).toEqual([gone, gone]);
      expect(gateway.keys).toHaveLength(1);
    });
  });

  it('knows by the code alone what may succeed later', () => {
    const retryable = Object.entries(REFUSALS).filter(([, refusal]) => refusal.retryable);
    expect([...RETRYABLE_CODES].sort()).toEqual(retryable.map(([code]) => code).sort());
  });

  describe('on a page without TLS', () => {
    const whole = globalThis.crypto;
    beforeAll(() => {
      const { getRandomValues } = whole;
      const insecure = { getRandomValues: getRandomValues.bind(whole) };
      Object.defineProperty(globalThis, 'crypto', { configurable: true, value: insecure });
    });
    afterAll(() => {
      Object.defineProperty(globalThis, 'crypto', { configurable: true, value: whole });
    });

    it('is the same as elsewhere', async () => {
      gateway.tell({ status: 503 });
      expect((await pay()).status).toBe(201);
      expect(gateway.keys[0]).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-/);
      expect(new Set(gateway.keys).size).toBe(1);
    });

    it('belongs to content with the digest that it has elsewhere', async () => {
      const sizes = [...Array(140).keys(), 1_000, 65_536, 100_001];
      for (const size of sizes) {
        const bytes = Buffer.alloc(size, `é${size}`);
        const expected = createHash('sha256').update(bytes).digest('hex');
        expect(await digestOf(bytes)).toBe(expected);
      }
    });

    it('has a key of its own each time', () => {
      expect(new Set(Array.from({ length: 1_000 }, newKey)).size).toBe(1_000);
    });
  });
});
