import { rmSync } from 'node:fs';
import type { OpenAPIObject } from '@nestjs/swagger';
import { START_MS, type ShopProcess } from '../../sample-app/show/demo/shop-process.js';
import { Visitor } from '../../sample-app/show/demo/visitor.js';
import { OPENING_MS, openShop } from '../sample/support/shop.js';
import { PLATFORMS } from '../support/http.js';
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

describe.each(PLATFORMS)('the shop on %s', (http) => {
  let shop: ShopProcess;
  let visitor: Visitor;
  let document: OpenAPIObject;

  beforeAll(async () => {
    shop = await openShop({ HTTP: http });
    visitor = new Visitor(shop.url);
    document = await visitor.read<OpenAPIObject>('/docs-json');
  }, OPENING_MS);
  afterAll(() => shop?.stop());

  it('shows its API as a page', async () => {
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

    beforeAll(async () => {
      client = await TypedClient.of(document);
    });
    afterAll(() => rmSync(client.folder, { recursive: true, force: true }));

    it.each([
      ['a payment', PAY],
      ['a new name', RENAME],
      ['an order', ORDER],
      ['a transfer', TRANSFER],
    ])('%s without its header is a type error', (_, call) => {
      expect(client.errorsOf(call)).toEqual([]);
      expect(withoutHeader(call)).not.toBe(call);
      expect(client.errorsOf(withoutHeader(call))).toEqual([
        expect.stringMatching(/header|Idempotency-Key/),
      ]);
    });

    it(
      'answers a repetition with the first reply',
      async () => {
        const before = await visitor.effects();
        const [first, second] = client.run(shop.url, [PAY, PAY]);
        expect(first).toMatchObject({ status: 201, replayed: null, data: { amount: 40 } });
        expect(second).toEqual({ ...first, replayed: 'true' });
        const after = await visitor.effects();
        expect(after['POST /payments'] - before['POST /payments']).toBe(1);
      },
      START_MS,
    );

    it(
      'does what it is asked for, whatever carries the key',
      () => {
        const replies = client.run(shop.url, [RENAME, ORDER, TRANSFER]);
        expect(replies.map(({ status }) => status)).toEqual([200, 201, 201]);
      },
      START_MS,
    );
  });
});
