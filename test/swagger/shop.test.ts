import { rmSync } from 'node:fs';
import type { OpenAPIObject } from '@nestjs/swagger';
import { START_MS } from '../../sample-app/show/demo/shop-process.js';
import { OPENING_MS } from '../sample/support/shop.js';
import { TwoShops } from '../sample/support/two-shops.js';
import { complaintsOf, operationOf, refusalsOf } from './support/document.js';
import { TypedClient } from './support/typed-client.js';

/** What `openapi-fetch` is called with, by somebody who knows the document and nothing else. */
const PAY = `client.POST('/payments', {
  params: { header: { 'Idempotency-Key': 'typed' } },
  body: { orderId: 'A-1', amount: 40 },
})`;
const RENAME = `client.PUT('/goods/{id}', {
  params: { path: { id: 1 }, header: { 'If-Match': '"1"' } },
  body: { name: 'Desk lamp' },
})`;
const ORDER = `client.POST('/orders', {
  params: { header: { 'Idempotency-Key': (await client.POST('/idempotency/tokens')).data!.token } },
  body: { sku: 'lamp', quantity: 2 },
})`;
const TRANSFER = `client.POST('/transfers', {
  params: { header: { 'x-client-id': 'bank' } },
  body: { serialNo: 7, amount: 1 },
})`;

const withoutHeader = (call: string): string => call.replace(/,? ?header: \{.*\}(?= \})/, '');

const ADAPTERS = [
  ['express', 0],
  ['fastify', 1],
] as const;

describe('the shop', () => {
  let shops: TwoShops;
  let document: OpenAPIObject;

  beforeAll(async () => {
    shops = await TwoShops.open({});
    document = await shops.visitors[0].read<OpenAPIObject>('/docs-json');
  }, OPENING_MS);
  afterAll(() => shops?.close());

  it.each(ADAPTERS)('shows its API as a page on %s', async (_http, index) => {
    const visitor = shops.visitors[index];
    const page = await visitor.get('/docs');
    expect([page.status, page.headers['content-type']]).toEqual([
      200,
      expect.stringContaining('text/html'),
    ]);
    const files = [...page.body.toString().matchAll(/(?:src|href)="(\.\/docs\/[^"]+)"/g)];
    expect(files.length).toBeGreaterThan(2);
    for (const [, path] of files)
      expect([path, (await visitor.get(path!.slice(1))).status]).toEqual([path, 200]);
  });

  it('describes it in the same words on both adapters', async () => {
    expect(await shops.visitors[1].read('/docs-json')).toEqual(document);
  });

  it('describes it in valid OpenAPI', async () => {
    expect(await complaintsOf(document)).toEqual([]);
  });

  it('describes what every request takes and answers with', () => {
    const silent = Object.entries(document.paths).flatMap(([path, { post, put, get }]) =>
      [post, put, get].flatMap((operation) => {
        if (operation?.['x-idempotency' as never] === undefined) return [];
        const replies = Object.entries(operation.responses).filter(([status]) => status[0] === '2');
        return replies.every(([, reply]) => 'content' in reply!) ? [] : [path];
      }),
    );
    expect(silent).toEqual([]);
    expect(document.components?.schemas).toMatchObject({
      PayDto: { required: ['orderId', 'amount'] },
      Order: { properties: { status: { enum: expect.arrayContaining(['paid']) } } },
    });
  });

  it('says of its own problems and of ours that either may come', () => {
    const { responses } = operationOf(document, 'POST /payments');
    expect(responses['400']!.content!['application/problem+json']!.schema).toEqual({
      anyOf: [
        { $ref: '#/components/schemas/Problem' },
        { $ref: '#/components/schemas/IdempotencyProblem' },
      ],
    });
    expect(refusalsOf(operationOf(document, 'PUT /goods/{id}'))).toMatchObject({
      412: ['IDEMPOTENCY_VERSION_CONFLICT'],
      428: ['IDEMPOTENCY_VERSION_REQUIRED'],
    });
  });

  describe('to a client that is typed by its document', () => {
    let client: TypedClient;
    let errors: Map<string, string[]>;

    beforeAll(async () => {
      client = await TypedClient.of(document);
      const calls = [PAY, RENAME, ORDER, TRANSFER].flatMap((call) => [call, withoutHeader(call)]);
      const found = client.errorsOf(calls);
      errors = new Map(calls.map((call, index) => [call, found[index]!]));
    }, OPENING_MS);
    afterAll(() => client && rmSync(client.folder, { recursive: true, force: true }));

    it.each([
      ['a payment', PAY],
      ['a new name', RENAME],
      ['an order', ORDER],
      ['a transfer', TRANSFER],
    ])('%s without its header is a type error', (_, call) => {
      expect(errors.get(call)).toEqual([]);
      expect(withoutHeader(call)).not.toBe(call);
      expect(errors.get(withoutHeader(call))).toEqual([
        expect.stringMatching(/header|Idempotency-Key/),
      ]);
    });

    it.each(ADAPTERS)(
      'answers a repetition with the first reply on %s',
      async (_http, index) => {
        const visitor = shops.visitors[index];
        const before = await visitor.effects();
        const [first, second] = client.run(shops.processes[index].url, [PAY, PAY]);
        expect(first).toMatchObject({ status: 201, replayed: null, data: { amount: 40 } });
        expect(second).toEqual({ ...first, replayed: 'true' });
        const after = await visitor.effects();
        expect(after['POST /payments'] - before['POST /payments']).toBe(1);
      },
      START_MS,
    );

    it.each(ADAPTERS)(
      'does what it is asked for on %s, whatever carries the key',
      (_http, index) => {
        const replies = client.run(shops.processes[index].url, [RENAME, ORDER, TRANSFER]);
        expect(replies.map(({ status }) => status)).toEqual([200, 201, 201]);
      },
      START_MS,
    );
  });
});
