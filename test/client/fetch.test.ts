import { MemoryStore } from 'nestjs-idempotency';
import {
  createIdempotentFetch,
  IdempotentFetchError,
  type IdempotentFetch,
  type IdempotentFetchOptions,
} from 'nestjs-idempotency/client';
import { failBefore, FaultInjectingStore } from 'nestjs-idempotency/testing';
import { boot, eventually, type TestApp } from '../support/http.js';
import { posting, Shop, TabStorage, Wire } from './support/shop.js';

/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:9/orders';

function fails(): never {
  throw new Error('The disk is full.');
}

describe('the idempotent fetch', () => {
  let store: FaultInjectingStore;
  let test: TestApp;
  let wire: Wire;
  let storage: TabStorage;

  beforeEach(async () => {
    Shop.empty();
    store = new FaultInjectingStore(new MemoryStore());
    wire = new Wire();
    storage = new TabStorage();
    test = await boot('express', {
      controllers: [Shop],
      idempotency: { store, tokens: { purposes: ['order'] }, tokenController: true },
    });
  });
  afterEach(() => test.close());

  const client = (options: IdempotentFetchOptions = {}): IdempotentFetch =>
    createIdempotentFetch({ fetch: wire.fetch, storage, baseDelayMs: 1, ...options });
  const at = (path: string): string => `http://127.0.0.1:${test.port}/${path}`;

  describe('keys', () => {
    it('are new for every call that names no intent', async () => {
      const send = client();
      await send(at('orders'), posting({ sku: 1 }));
      await send(at('orders'), posting({ sku: 1 }));
      expect(Shop.effects).toHaveLength(2);
      expect(new Set(wire.keys).size).toBe(2);
      expect(storage.values.size).toBe(0);
    });

    it('go in the header that was chosen', async () => {
      const names: string[] = [];
      const send = client({
        header: 'X-Once',
        fetch: (input, init) => {
          names.push(...(input as Request).headers.keys());
          return fetch(input, init);
        },
      });
      await send(at('open'), { method: 'POST' });
      expect(names).toContain('x-once');
      expect(names).not.toContain('idempotency-key');
    });

    it('are not sent with safe methods', async () => {
      const response = await createIdempotentFetch({
        fetch: async (input, init) => Response.json({ input, init }),
      })('/orders', { intent: 'look', headers: { A: 'b' } });
      expect(await response.json()).toEqual({ input: '/orders', init: { headers: { A: 'b' } } });
    });

    it('are kept for the next page when the page is gone before the answer', async () => {
      const page = new AbortController();
      const gone = client()(at('gated'), {
        ...posting({ sku: 1 }),
        intent: 'buy',
        signal: page.signal,
      });
      await eventually(() => wire.requests.length === 1);
      page.abort(new Error('gone'));
      await expect(gone).rejects.toThrow('gone');
      expect(storage.values.size).toBe(1);
      Shop.gate.open();

      const response = await client()(at('gated'), { ...posting({ sku: 1 }), intent: 'buy' });
      expect(await response.json()).toEqual({ number: 1, sku: 1 });
      expect(Shop.effects).toHaveLength(1);
      expect(new Set(wire.keys).size).toBe(1);
      expect(storage.values.size).toBe(0);
    });

    it('are new when the content of an open intent has changed', async () => {
      const send = client();
      for (const sku of [1, 1, 2])
        await send(at('fails/500'), { ...posting({ sku }), intent: 'buy' });
      const [first, again, other] = wire.keys;
      expect(again).toBe(first);
      expect(other).not.toBe(first);
    });

    it.each([400, 409, 422])('are forgotten after a final %i', async (status) => {
      await client()(at(`fails/${status}`), { ...posting({}), intent: 'buy' });
      expect(storage.values.size).toBe(0);
    });

    it('that cannot be kept where they are to be are not sent', async () => {
      storage.setItem = fails;
      const sent = client()(at('orders'), { ...posting({ sku: 1 }), intent: 'buy' });
      await expect(sent).rejects.toThrow('The disk is full.');
      expect(wire.requests).toHaveLength(0);
    });

    it('that cannot be forgotten do not hide the answer', async () => {
      storage.removeItem = fails;
      const response = await client()(at('orders'), { ...posting({ sku: 1 }), intent: 'buy' });
      expect(await response.json()).toEqual({ number: 1, sku: 1 });
    });

    it('are shared by two clients of one intent at once', async () => {
      const calls = [client(), client()].map((send) =>
        send(at('gated'), { ...posting({ sku: 1 }), intent: 'buy' }),
      );
      await eventually(() => wire.requests.length >= 2);
      Shop.gate.open();
      const replies = await Promise.all((await Promise.all(calls)).map((reply) => reply.json()));
      expect(replies[1]).toEqual(replies[0]);
      expect(Shop.effects).toHaveLength(1);
    });
  });

  describe('bodies', () => {
    it('are the same on every attempt, also those of streams and of requests', async () => {
      const fetches: typeof fetch = async (input, init) => {
        const response = await wire.fetch(input, init);
        if (wire.requests.length % 2 === 1) throw new TypeError('lost');
        return response;
      };
      const send = client({ fetch: fetches });
      const body = new Blob(['streamed']).stream();
      await send(at('open'), { method: 'POST', body, duplex: 'half' } as RequestInit);
      await send(new Request(at('open'), { method: 'POST', body: 'requested' }));
      const sent = wire.requests.map(({ text }) => text);
      expect(sent).toEqual(['streamed', 'streamed', 'requested', 'requested']);
    });

    it('of the same form are the same after a reload', async () => {
      const form = (): FormData => {
        const data = new FormData();
        data.set('a "name"', 'line\nline');
        data.set('file', new File(['bytes'], 'ü.txt', { type: 'text/plain' }));
        return data;
      };
      for (let load = 1; load <= 2; load++)
        await client()(at('fails/500'), { method: 'POST', body: form(), intent: 'upload' });
      expect(wire.requests[1]).toMatchObject({ ...wire.requests[0], at: expect.any(Number) });
      const [{ text } = { text: '' }] = wire.requests;
      const type = `multipart/form-data; boundary=${/^--(\S+)/.exec(text)?.[1]}`;
      const read = await new Response(text, { headers: { 'Content-Type': type } }).formData();
      expect(read.get('a "name"')).toBe('line\r\nline');
      expect(await (read.get('file') as File).text()).toBe('bytes');
    });
  });

  describe('retries', () => {
    it('wait as long as the answer asks for', async () => {
      store.next('acquire', failBefore());
      const response = await client()(at('orders'), posting({ sku: 1 }));
      expect(await response.json()).toEqual({ number: 1, sku: 1 });
      const [refused, answered] = wire.requests;
      // Timers and times are in whole milliseconds.
      expect(answered!.at - refused!.at).toBeGreaterThanOrEqual(998);
      expect(answered!.key).toBe(refused!.key);
    });

    it('wait until the date that the answer names', async () => {
      const response = await client()(at('later'), { method: 'POST' });
      expect(response.status).toBe(204);
      const [refused, answered] = wire.requests;
      // A date has whole seconds.
      expect(answered!.at - refused!.at).toBeGreaterThan(900);
    });

    it('end with an error and the last refusal when the deadline is near', async () => {
      store.always('acquire', failBefore());
      const sent = client({ deadlineMs: 900 })(at('orders'), { ...posting({}), intent: 'buy' });
      const error = await sent.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(IdempotentFetchError);
      expect(error).toMatchObject({ attempts: 1, response: { status: 503 } });
      expect(storage.values.size).toBe(1);
    });

    it('go on without an answer until the deadline', async () => {
      const sent = client({ deadlineMs: 300, maxDelayMs: 20 })(NOWHERE, posting({}));
      const error = (await sent.catch((reason: unknown) => reason)) as IdempotentFetchError;
      expect(error).toMatchObject({ name: 'IdempotentFetchError', response: undefined });
      expect(error.cause).toMatchObject({ message: 'fetch failed' });
      expect(error.attempts).toBeGreaterThan(2);
    });

    it('follow a request that is not answered in its time', async () => {
      const sent = client({ attemptMs: 100 })(at('gated'), posting({ sku: 1 }));
      await eventually(() => wire.requests.length >= 2);
      Shop.gate.open();
      expect(await (await sent).json()).toEqual({ number: 1, sku: 1 });
      expect(Shop.effects).toHaveLength(1);
    });

    it('follow a reply that is cut off in its middle', async () => {
      const response = await client()(at('cut-off'), posting({ sku: 1 }));
      expect(await response.json()).toEqual({ number: 2 });
      expect(wire.keys).toEqual([wire.keys[0], wire.keys[0]]);
    });

    it('end when the call is aborted while it waits', async () => {
      const controller = new AbortController();
      const { signal } = controller;
      const sent = client({ baseDelayMs: 1e6, maxDelayMs: 1e6, deadlineMs: 1e9 })(NOWHERE, {
        ...posting({}),
        signal,
      });
      await eventually(() => wire.requests.length === 1);
      controller.abort(new Error('enough'));
      await expect(sent).rejects.toThrow('enough');
    });

    it('are not made of a call that was aborted before', async () => {
      const signal = AbortSignal.abort(new Error('never'));
      await expect(client()(NOWHERE, { ...posting({}), signal })).rejects.toThrow('never');
      expect(wire.requests).toEqual([]);
    });
  });

  describe('tokens', () => {
    const tokens = (options: IdempotentFetchOptions = {}): IdempotentFetch =>
      client({ tokenUrl: at('idempotency/tokens'), purpose: 'order', ...options });
    const buying = { ...posting({ sku: 1 }), intent: 'buy' };
    const keep = (record: object): void =>
      storage.setItem('nestjs-idempotency:buy', JSON.stringify(record));

    it('are asked for once per intent and used for its retries', async () => {
      store.next('acquire', failBefore());
      const response = await tokens()(at('token-orders'), buying);
      expect(await response.json()).toEqual({ number: 1, sku: 1 });
      const [asked, ...sent] = wire.keys;
      expect(asked).toBeNull();
      expect(sent).toEqual([sent[0], sent[0]]);
    });

    it('are asked for once by two calls of one intent at once', async () => {
      const send = tokens();
      const calls = [1, 2].map(() => send(at('token-orders'), buying));
      const replies = await Promise.all((await Promise.all(calls)).map((reply) => reply.json()));
      expect(replies[1]).toEqual(replies[0]);
      expect(wire.keys.filter((key) => key === null)).toHaveLength(1);
    });

    it('that were used are kept though they have expired', async () => {
      const record = { key: 'used', expiresAt: 1 };
      await tokens()(at('fails/500'), buying);
      const [[name, text] = ['', '{}']] = storage.values;
      storage.setItem(name, JSON.stringify({ ...(JSON.parse(text) as object), ...record }));
      await tokens()(at('fails/500'), buying);
      expect(wire.keys.at(-1)).toBe('used');
    });

    it('that expired before their first use are replaced', async () => {
      keep({ key: 'expired', expiresAt: Date.now() - 1 });
      const response = await tokens()(at('token-orders'), buying);
      expect(response.status).toBe(201);
      expect(wire.keys).not.toContain('expired');
    });

    it('that the server does not take, and that were never sent, are replaced', async () => {
      keep({ key: 'of somebody else', isUnsent: true });
      const response = await tokens()(at('token-orders'), buying);
      expect(await response.json()).toEqual({ number: 1, sku: 1 });
      expect(wire.keys).toEqual(['of somebody else', null, expect.any(String)]);
      expect(storage.values.size).toBe(0);
    });

    it('that the server does not take are not replaced when the last answer was lost', async () => {
      keep({ key: 'of somebody else', isUnsent: true });
      const losing: typeof fetch = async (input, init) => {
        const response = await wire.fetch(input, init);
        if (wire.requests.length === 1) throw new TypeError('The connection was cut.');
        return response;
      };
      const response = await tokens({ fetch: losing })(at('token-orders'), buying);
      expect(response.status).toBe(422);
      expect(wire.keys).toEqual(['of somebody else', 'of somebody else']);
    });

    it('that were just issued, and are not taken, are not asked for again', async () => {
      const send = client({ tokenUrl: at('idempotency/tokens') });
      const response = await send(at('token-orders'), buying);
      expect(response.status).toBe(422);
      expect(wire.keys).toEqual([null, expect.any(String)]);
    });

    it('that are refused end the call', async () => {
      const send = client({ tokenUrl: at('idempotency/tokens'), purpose: 'unknown' });
      const error = await send(at('token-orders'), buying).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ message: 'No token: 400.', response: { status: 400 } });
    });
  });

  it.each([0, -1, Number.NaN])('is not made with a deadline of %d', (deadlineMs) => {
    expect(() => createIdempotentFetch({ deadlineMs })).toThrow(/^deadlineMs: .* 60000/);
  });
});
