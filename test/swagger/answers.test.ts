import type { OpenAPIObject } from '@nestjs/swagger';
import { MemoryStore } from 'nestjs-idempotency';
import { failBefore, FaultInjectingStore, Gate, ManualClock } from 'nestjs-idempotency/testing';
import { parseDuration } from '../../src/engine/duration.js';
import {
  boot,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type Reply,
  type RequestOptions,
  type TestApp,
} from '../support/http.js';
import { documentOf, operationOf, refusalsOf, statusesWith } from './support/document.js';
import { shop, work } from './support/shop.js';

describe.each(PLATFORMS)('what a server on %s answers', (platform) => {
  const store = new FaultInjectingStore(new MemoryStore());
  let test: TestApp;
  let document: OpenAPIObject;
  let count = 0;
  const newKey = (): string => `key-${(count += 1)}`;

  beforeAll(async () => {
    test = await boot(platform, shop({ store }));
    document = documentOf(test.app);
  });
  afterAll(() => test?.close());

  /** Sends it and finds the refusal in the document, at this status, with its headers. */
  async function expectDocumented(
    [method, template]: [string, string],
    path: string,
    status: number,
    code: string,
    options: RequestOptions = {},
  ): Promise<void> {
    const reply = await test.send(path, { method, ...options });
    expectProblem(reply, status, code);
    const operation = operationOf(document, `${method} ${template}`);
    expect(refusalsOf(operation)[status]).toContain(code);
    const withRetryAfter = reply.headers['retry-after'] === undefined ? [] : [String(status)];
    const documented = statusesWith(operation, 'Retry-After');
    expect(documented).toEqual(expect.arrayContaining(withRetryAfter));
  }

  const send = (path: string, options?: RequestOptions): Promise<Reply> =>
    test.send(path, { body: {}, ...options });

  describe('to a wrong call is in the document:', () => {
    const expectRefused = (status: number, code: string, options: RequestOptions): Promise<void> =>
      expectDocumented(['POST', '/payments'], '/payments', status, code, { body: {}, ...options });

    it('no key, or one that is none', async () => {
      await expectRefused(400, 'IDEMPOTENCY_KEY_REQUIRED', {});
      await expectRefused(400, 'IDEMPOTENCY_KEY_INVALID', { key: 'x'.repeat(256) });
    });

    it('other content', async () => {
      const key = newKey();
      await send('/payments', { key });
      await expectRefused(422, 'IDEMPOTENCY_KEY_REUSED', { key, body: { serialNo: '1' } });
    });

    it('a duplicate while the first is running', async () => {
      const call = { key: newKey(), body: { work: 'wait' } };
      const gate = (work.gate = new Gate());
      const first = test.send('/payments', call);
      await gate.reached();
      await expectRefused(409, 'IDEMPOTENCY_KEY_IN_USE', call);
      gate.open();
      expect((await first).status).toBe(201);
    });

    it('an outcome that nobody knows, or a reply that was too large', async () => {
      const held = { key: newKey(), body: { work: 'hold' } };
      await test.send('/payments', held);
      await expectRefused(409, 'IDEMPOTENCY_OUTCOME_UNKNOWN', held);
      const large = { key: newKey(), body: { work: 'grow' } };
      await test.send('/payments', large);
      await expectRefused(409, 'IDEMPOTENCY_REPLY_NOT_KEPT', large);
    });

    it('a store that fails', async () => {
      store.next('acquire', failBefore());
      await expectRefused(503, 'IDEMPOTENCY_STORE_UNAVAILABLE', { key: newKey() });
    });

    it('a token that is none, or no token', async () => {
      const order = ['POST', '/orders'] as [string, string];
      const body = {};
      await expectDocumented(order, '/orders', 400, 'IDEMPOTENCY_KEY_REQUIRED', { body });
      await expectDocumented(order, '/orders', 422, 'IDEMPOTENCY_TOKEN_INVALID', {
        key: 'made-up',
        body,
      });
    });

    it('a purpose that there is not', async () => {
      const path = '/idempotency/tokens';
      await expectDocumented(['POST', path], path, 400, 'IDEMPOTENCY_PURPOSE_UNKNOWN', {
        body: { purpose: 'fun' },
      });
    });

    it('a version that is missing, stale, or of nothing', async () => {
      const change = ['PUT', '/goods/{id}'] as [string, string];
      const at = (version: string) => ({ headers: { 'if-match': version }, body: {} });
      await expectDocumented(change, '/goods/1', 428, 'IDEMPOTENCY_VERSION_REQUIRED', {
        body: {},
      });
      await expectDocumented(change, '/goods/1', 400, 'IDEMPOTENCY_KEY_INVALID', at('1'));
      await expectDocumented(change, '/goods/1', 412, 'IDEMPOTENCY_VERSION_CONFLICT', at('"7777"'));
      await expectDocumented(change, '/goods/2', 404, 'IDEMPOTENCY_RESOURCE_NOT_FOUND', at('"1"'));
      await expectDocumented(
        ['PUT', '/goods/{id}/name'],
        '/goods/1/name',
        409,
        'IDEMPOTENCY_VERSION_CONFLICT',
        { body: { version: 0 } },
      );
    });

    it('a state from which there is no way', async () => {
      const sell = ['POST', '/goods/{id}/sell'] as [string, string];
      await expectDocumented(sell, '/goods/1/sell', 409, 'IDEMPOTENCY_STATE_CONFLICT');
    });

    it('a vote for the second time, or of nobody', async () => {
      const vote = ['POST', '/votes/{target}'] as [string, string];
      const headers = { 'x-user': newKey() };
      await test.send('/votes/a', { headers });
      await expectDocumented(vote, '/votes/a', 409, 'IDEMPOTENCY_DUPLICATE', { headers });
      await expectDocumented(vote, '/votes/a', 400, 'IDEMPOTENCY_KEY_REQUIRED');
    });
  });

  describe('to a right call is in the document:', () => {
    it('a reply, and its replay', async () => {
      const key = newKey();
      const replies = [await send('/payments', { key }), await send('/payments', { key })];
      expectReplay(replies[0]!, replies[1]!);
      const marked = statusesWith(operationOf(document, 'POST /payments'), 'Idempotent-Replayed');
      expect(marked).toEqual([String(replies[0]!.status)]);
    });

    it('the version that the row has now', async () => {
      const reply = await send('/goods/1', { method: 'PUT', headers: { 'if-match': '*' } });
      expect(reply.headers).toHaveProperty('etag');
      const change = operationOf(document, 'PUT /goods/{id}');
      expect(statusesWith(change, 'ETag')).toEqual([String(reply.status)]);
    });

    it('a token, and what it is good for', async () => {
      const issued = await send('/idempotency/tokens', { body: { purpose: 'order' } });
      const { responses } = operationOf(document, 'POST /idempotency/tokens');
      const schema = responses[issued.status]!.content!['application/json']!.schema;
      const { header, token } = issued.json() as Record<string, string>;
      expect(Object.keys(issued.json() as object).sort()).toEqual(
        [...(schema as { required: string[] }).required].sort(),
      );
      const reply = await send('/orders', { headers: { [header!]: token! } });
      expect(Object.keys(operationOf(document, 'POST /orders').responses)).toContain(
        String(reply.status),
      );
    });
  });

  it('waits as long as the document says', async () => {
    store.next('acquire', failBefore());
    const reply = await send('/optional', { key: newKey() });
    const { retryAfter } = operationOf(document, 'POST /optional')['x-idempotency']!;
    const waitMs = parseDuration('retryAfter', retryAfter);
    expect(Number(reply.headers['retry-after']) * 1_000).toBe(waitMs);
  });
});

it('tells of limits only where there are some', async () => {
  for (const limits of [undefined, { inFlight: 5 }]) {
    const test = await boot('express', shop({ limits }));
    const document = documentOf(test.app);
    const codes = (route: string): unknown => refusalsOf(operationOf(document, route))[429];
    const expected = limits && ['IDEMPOTENCY_LIMIT_EXCEEDED'];
    expect(codes('POST /payments')).toEqual(expected);
    expect(
      statusesWith(operationOf(document, 'POST /payments'), 'Retry-After').includes('429'),
    ).toBe(limits !== undefined);
    await test.close();
  }
});

it('a reply is kept for as long as the document says', async () => {
  const clock = new ManualClock();
  const test = await boot('express', shop({ store: new MemoryStore({ clock }) }));
  try {
    const { ttl } = operationOf(documentOf(test.app), 'POST /comments')['x-idempotency']!;
    const send = (): Promise<Reply> => test.send('/comments', { body: { serialNo: '1' } });
    const first = await send();
    await clock.advance(parseDuration('ttl', ttl!) - 1);
    expectReplay(first, await send());
    await clock.advance(1);
    expect((await send()).headers).not.toHaveProperty('idempotent-replayed');
  } finally {
    await test.close();
  }
});
