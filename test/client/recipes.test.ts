import { MutationObserver, QueryClient } from '@tanstack/query-core';
import axios from 'axios';
import ky from 'ky';
import createClient from 'openapi-fetch';
import {
  createIdempotentFetch,
  type IdempotentFetch,
  type IdempotentRequestInit,
} from 'nestjs-idempotency/client';
import { Gateway } from './support/gateway.js';

interface Paths {
  '/payments': {
    post: {
      requestBody: { content: { 'application/json': { amount: number } } };
      responses: { 201: { content: { 'application/json': { done: boolean } } } };
    };
  };
}

describe('the idempotent fetch within', () => {
  let gateway: Gateway;
  let send: IdempotentFetch;

  beforeAll(async () => {
    gateway = await Gateway.start();
  });
  beforeEach(() => {
    send = createIdempotentFetch({ baseDelayMs: 1, maxDelayMs: 5 });
    gateway.tell('cut', { status: 503 });
  });
  afterAll(() => gateway.stop());

  const expectOneKey = (requests: number): void => {
    expect(gateway.keys).toHaveLength(requests);
    expect(new Set(gateway.keys).size).toBe(1);
    expect(gateway.keys[0]).toMatch(/^[\da-f-]{36}$/);
  };

  it('axios sends one key', async () => {
    const http = axios.create({ adapter: 'fetch', env: { fetch: send } });
    const { data } = await http.post<unknown>(gateway.url, { amount: 5 });
    expect(data).toEqual({ done: true });
    expectOneKey(3);
  });

  it('axios sends the key of an intent', async () => {
    gateway.tell({ status: 500 });
    const pay = () => {
      const named: typeof fetch = (input, init) => send(input, { ...init, intent: 'pay' });
      return axios.post(gateway.url, { amount: 5 }, { adapter: 'fetch', env: { fetch: named } });
    };
    await expect(pay()).rejects.toMatchObject({ status: 500 });
    expect((await pay()).status).toBe(201);
    expectOneKey(2);
  });

  it('ky sends the key of an intent', async () => {
    gateway.tell('cut', { status: 500 });
    const api = ky.create({ fetch: send, retry: 0 });
    const pay = () =>
      api.post(gateway.url, { json: { amount: 5 }, intent: 'pay' } as IdempotentRequestInit);
    await expect(pay()).rejects.toMatchObject({ response: { status: 500 } });
    expect(await (await pay()).json()).toEqual({ done: true });
    expectOneKey(3);
  });

  it('openapi-fetch sends the key of an intent', async () => {
    gateway.tell('cut', { status: 500 });
    const api = createClient<Paths>({ baseUrl: new URL(gateway.url).origin });
    const pay = () =>
      api.POST('/payments', {
        body: { amount: 5 },
        fetch: (request) => send(request, { intent: 'pay' }),
      });
    expect((await pay()).response.status).toBe(500);
    expect((await pay()).data).toEqual({ done: true });
    expectOneKey(3);
  });

  it('a mutation of TanStack Query, with its retries, sends one key', async () => {
    gateway.tell('cut', { status: 500 }, { status: 500 });
    const mutation = new MutationObserver(new QueryClient(), {
      mutationFn: async (amount: number): Promise<unknown> => {
        const response = await send(gateway.url, {
          method: 'POST',
          body: JSON.stringify({ amount }),
          intent: `pay ${amount}`,
        });
        if (!response.ok) throw new Error(`refused: ${response.status}`);
        return response.json();
      },
      retry: 3,
      retryDelay: 1,
    });
    expect(await mutation.mutate(5)).toEqual({ done: true });
    expectOneKey(4);
    // What is paid is paid: the next one is another.
    await mutation.mutate(5);
    expect(new Set(gateway.keys).size).toBe(2);
  });
});
