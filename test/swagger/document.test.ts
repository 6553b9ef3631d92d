import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { DEFAULTS, REFUSALS } from 'nestjs-idempotency/contracts';
import { boot, PLATFORMS, type TestApp } from '../support/http.js';
import {
  complaintsOf,
  documentOf,
  operationOf,
  refusalsOf,
  statusesWith,
  VERSIONS,
} from './support/document.js';
import { shop } from './support/shop.js';

const RECORDED = [
  'IDEMPOTENCY_KEY_IN_USE',
  'IDEMPOTENCY_OUTCOME_UNKNOWN',
  'IDEMPOTENCY_REPLY_NOT_KEPT',
];
const STORE = { 503: ['IDEMPOTENCY_STORE_UNAVAILABLE'] };
const UNACCEPTABLE = { 406: ['IDEMPOTENCY_REPLY_NOT_ACCEPTABLE'] };
const UNREADABLE = { ...UNACCEPTABLE, 500: ['IDEMPOTENCY_RECORD_UNREADABLE'] };
const CONTENT = {
  ...UNACCEPTABLE,
  415: ['IDEMPOTENCY_CONTENT_NOT_PARSED'],
  500: ['IDEMPOTENCY_FINGERPRINT_UNAVAILABLE', 'IDEMPOTENCY_RECORD_UNREADABLE'],
};
const REUSED = { 422: ['IDEMPOTENCY_KEY_REUSED'] };
const KEY = { 400: ['IDEMPOTENCY_KEY_REQUIRED', 'IDEMPOTENCY_KEY_INVALID'] };
const INVALID = { 400: ['IDEMPOTENCY_KEY_INVALID'] };
const NOT_FOUND = { 404: ['IDEMPOTENCY_RESOURCE_NOT_FOUND'] };
const TOKEN = {
  400: ['IDEMPOTENCY_KEY_REQUIRED'],
  409: RECORDED,
  422: ['IDEMPOTENCY_KEY_REUSED', 'IDEMPOTENCY_TOKEN_INVALID'],
  ...CONTENT,
  ...STORE,
};

/** Everything that the engine and the strategy of a route can refuse a call with. */
const ANSWERS: Record<string, Record<number, string[]>> = {
  'GET /payments': {},
  'POST /plain': {},
  'POST /payments': { ...KEY, 409: RECORDED, ...REUSED, ...CONTENT, ...STORE },
  'POST /orders': TOKEN,
  'POST /forms': TOKEN,
  'PUT /goods/{id}': {
    ...INVALID,
    ...NOT_FOUND,
    409: RECORDED,
    412: ['IDEMPOTENCY_VERSION_CONFLICT'],
    428: ['IDEMPOTENCY_VERSION_REQUIRED'],
    ...CONTENT,
    ...STORE,
  },
  'PUT /goods/{id}/name': {
    ...INVALID,
    ...NOT_FOUND,
    409: [...RECORDED, 'IDEMPOTENCY_VERSION_CONFLICT'],
    428: ['IDEMPOTENCY_VERSION_REQUIRED'],
    ...CONTENT,
    ...STORE,
  },
  'POST /goods/{id}/sell': {
    ...INVALID,
    ...NOT_FOUND,
    409: [...RECORDED, 'IDEMPOTENCY_STATE_CONFLICT'],
    ...REUSED,
    ...UNREADABLE,
    ...STORE,
  },
  'POST /coupons/{id}/claim': { ...INVALID, 409: ['IDEMPOTENCY_KEY_IN_USE'], ...STORE },
  'POST /transfers': { ...KEY, 409: RECORDED, ...REUSED, ...CONTENT, ...STORE },
  'POST /comments': { 409: RECORDED, ...CONTENT, ...STORE },
  'POST /votes/{target}': {
    ...KEY,
    409: [...RECORDED, 'IDEMPOTENCY_DUPLICATE'],
    ...REUSED,
    ...CONTENT,
    ...STORE,
  },
  'POST /optional': { ...INVALID, 409: RECORDED, ...REUSED, ...CONTENT, ...STORE },
  'POST /careless': { ...KEY, 409: RECORDED, ...REUSED, ...UNREADABLE },
  'POST /rooms/{id}/book': { ...KEY, 409: RECORDED, ...REUSED, ...CONTENT, ...STORE },
  'POST /idempotency/tokens': { 400: ['IDEMPOTENCY_PURPOSE_UNKNOWN'], ...STORE },
};

const sorted = (answers: Record<string, string[]>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(answers).map(([status, codes]) => [status, codes.sort()]));

describe.each(PLATFORMS)('the document of a shop on %s', (platform) => {
  let test: TestApp;

  beforeAll(async () => {
    test = await boot(platform, shop());
  });
  afterAll(() => test?.close());

  it.each(VERSIONS)('is valid OpenAPI %s', async (version) => {
    const document = documentOf(test.app, version);
    expect(document.openapi).toBe(version);
    expect(await complaintsOf(document)).toEqual([]);
  });

  it('would be found wrong by the validator if it were', async () => {
    const document = documentOf(test.app);
    operationOf(document, 'POST /payments').responses['409'] = {};
    expect(await complaintsOf(document)).not.toEqual([]);
  });

  it.each(Object.entries(ANSWERS))('lists the refusals of %s, and no others', (route, answers) => {
    expect(sorted(refusalsOf(operationOf(documentOf(test.app), route)))).toEqual(sorted(answers));
  });

  it('has a table of refusals for every operation', () => {
    const routes = Object.entries(documentOf(test.app).paths).flatMap(([path, item]) =>
      Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`),
    );
    expect(routes.sort()).toEqual(Object.keys(ANSWERS).sort());
  });

  it('shows every problem as it is sent', () => {
    const { responses } = operationOf(documentOf(test.app), 'PUT /goods/{id}');
    expect(responses['412']?.content?.['application/problem+json']).toEqual({
      schema: { $ref: '#/components/schemas/IdempotencyProblem' },
      examples: {
        IDEMPOTENCY_VERSION_CONFLICT: {
          summary: 'Version conflict',
          value: {
            ...REFUSALS.IDEMPOTENCY_VERSION_CONFLICT,
            type: 'urn:nestjs-idempotency:problem:version-conflict',
            status: 412,
            code: 'IDEMPOTENCY_VERSION_CONFLICT',
          },
        },
      },
    });
  });

  it('knows every code', () => {
    const { schemas } = documentOf(test.app).components!;
    expect(schemas).toMatchObject({
      IdempotencyProblem: { properties: { code: { enum: Object.keys(REFUSALS) } } },
    });
  });

  it.each([
    ['POST /payments', [['header', 'Idempotency-Key', true]]],
    ['POST /orders', [['header', 'Idempotency-Key', true]]],
    // The field of the form will do.
    ['POST /forms', [['header', 'Idempotency-Key', false]]],
    [
      'PUT /goods/{id}',
      [
        ['path', 'id', true],
        ['header', 'If-Match', true],
      ],
    ],
    ['PUT /goods/{id}/name', [['path', 'id', true]]],
    ['POST /transfers', [['header', 'X-Client-Id', true]]],
    ['POST /comments', []],
    ['POST /optional', [['header', 'Idempotency-Key', false]]],
    ['POST /careless', [['query', 'no', true]]],
    [
      'POST /rooms/{id}/book',
      [
        ['path', 'id', true],
        ['header', 'Idempotency-Key', true],
      ],
    ],
    ['POST /plain', []],
    ['GET /payments', []],
  ])('says what a client of %s sends beside the body', (route, sent) => {
    const { parameters } = operationOf(documentOf(test.app), route);
    expect(parameters.map(({ in: place, name, required }) => [place, name, required])).toEqual(
      sent,
    );
  });

  it('tells of the form field that may carry a token', () => {
    const [parameter] = operationOf(documentOf(test.app), 'POST /forms').parameters;
    expect(parameter?.description).toContain('`_idempotency_token`');
  });

  it('tells what a token has to be issued for', () => {
    const [parameter] = operationOf(documentOf(test.app), 'POST /orders').parameters;
    expect(parameter?.description).toContain('issued for the purpose `order`');
  });

  it('publishes how long replies are kept, and the other terms', () => {
    const terms = (route: string) => operationOf(documentOf(test.app), route)['x-idempotency'];
    const { lease, retryAfter } = DEFAULTS;
    expect(terms('POST /payments')).toEqual({
      strategy: 'unique-key',
      key: 'header Idempotency-Key',
      required: true,
      ttl: DEFAULTS.ttl,
      onDuplicate: 'replay',
      lease,
      retryAfter,
    });
    expect(terms('POST /votes/{target}')).toMatchObject({ ttl: '365d', onDuplicate: 'reject' });
    expect(terms('POST /optional')).toMatchObject({ required: false, retryAfter: '90s' });
    expect(terms('POST /transfers')).toMatchObject({ wait: '1m' });
    expect(terms('POST /coupons/{id}/claim')).toEqual({
      strategy: 'lock',
      key: 'param id',
      required: true,
      lease,
      wait: '5s',
      retryAfter,
    });
    expect(terms('POST /rooms/{id}/book')).toMatchObject({
      strategy: 'lock',
      within: { strategy: 'unique-key', ttl: '2d', lease: '5m' },
    });
    expect(terms('POST /plain')).toBeUndefined();
  });

  it('says it in words, too', () => {
    const said = (route: string) => operationOf(documentOf(test.app), route).description;
    expect(said('POST /comments')).toContain('for 10s');
    expect(said('POST /votes/{target}')).toContain('refused with `IDEMPOTENCY_DUPLICATE`');
    expect(said('POST /coupons/{id}/claim')).toContain('others wait for up to 5s');
    expect(said('POST /optional')).toContain('Without a key it runs unprotected.');
  });

  it.each([
    ['POST /payments', ['201'], ['409', '503']],
    ['PUT /goods/{id}', ['200'], ['409', '503']],
    ['POST /careless', ['201'], ['409']],
    // Nobody gets a reply a second time.
    ['POST /votes/{target}', [], ['409', '503']],
    ['POST /coupons/{id}/claim', [], ['409', '503']],
    ['POST /plain', [], []],
  ])('names the headers of the answers of %s', (route, replayed, retryable) => {
    const operation = operationOf(documentOf(test.app), route);
    expect(statusesWith(operation, 'Idempotent-Replayed')).toEqual(replayed);
    expect(statusesWith(operation, 'Retry-After')).toEqual(retryable);
  });

  it('leaves everything else as swagger has it', () => {
    const plain = plainDocument(test.app);
    const document = documentOf(test.app);
    for (const route of ['GET /payments', 'POST /plain'])
      expect(operationOf(document, route)).toEqual(operationOf(plain, route));
  });

  it('leaves nothing behind for the documents after it', () => {
    const before = plainDocument(test.app);
    const first = documentOf(test.app);
    expect(plainDocument(test.app)).toEqual(before);
    expect(documentOf(test.app)).toEqual(first);
  });
});

it('says the same before the application has booted', async () => {
  let early: unknown;
  const configure = (app: INestApplication): void => void (early = documentOf(app));
  const test = await boot('express', { ...shop(), configure });
  try {
    expect(early).toEqual(documentOf(test.app));
  } finally {
    await test.close();
  }
});

function plainDocument(app: INestApplication) {
  return SwaggerModule.createDocument(app, new DocumentBuilder().setTitle('Shop').build());
}
