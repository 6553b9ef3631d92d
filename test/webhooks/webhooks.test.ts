import { Controller, Post } from '@nestjs/common';
import { DocumentBuilder } from '@nestjs/swagger';
import { header, Idempotent, IdempotencyService, webhookEvent } from 'nestjs-idempotency';
import type { Webhook, WebhookEventOptions } from 'nestjs-idempotency/contracts';
import { createIdempotentDocument } from 'nestjs-idempotency/swagger';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import Stripe from 'stripe';
import {
  boot,
  eventually,
  expectProblem,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';
import { WebhooksController } from './examples.js';

const STRIPE_SECRET = 'whsec_test_secret';
const OLD_STRIPE_SECRET = 'whsec_old_secret';
/** Published by Standard Webhooks, and in the tests of its libraries. */
const STANDARD = {
  secret: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
  time: 1614265330,
  body: '{"test": 2432232314}',
  signature: 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
};
/** https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries */
const GITHUB = {
  secret: "It's a Secret to Everybody",
  body: 'Hello, World!',
  signature: 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17',
};

const stripe = new Stripe('sk_test_none');

/** As Stripe sends it, signed by its own library. */
function stripeWebhook(event: object, options: { secret?: string; ageSeconds?: number } = {}) {
  const { secret = STRIPE_SECRET, ageSeconds = 0 } = options;
  const payload = JSON.stringify(event, null, 2);
  const timestamp = Math.floor(Date.now() / 1000) - ageSeconds;
  const signature = stripe.webhooks.generateTestHeaderString({ payload, secret, timestamp });
  return {
    headers: { 'stripe-signature': signature, 'content-type': 'application/json' },
    body: payload,
  };
}

beforeAll(() => {
  process.env['STRIPE_WEBHOOK_SECRETS'] = `${STRIPE_SECRET},${OLD_STRIPE_SECRET}`;
  process.env['STANDARD_WEBHOOK_SECRETS'] = STANDARD.secret;
  process.env['GITHUB_WEBHOOK_SECRETS'] = GITHUB.secret;
});

describe.each(PLATFORMS)('webhooks on %s', (platform) => {
  let app: TestApp;
  let events: string[];
  beforeAll(async () => {
    app = await boot(platform, { controllers: [WebhooksController], rawBody: true });
    app.app.get(IdempotencyService).events$.subscribe(({ type }) => void events.push(type));
  });
  afterAll(() => app?.close());
  beforeEach(() => {
    events = [];
  });

  const send = (path: string, request: { headers: Record<string, string>; body: string }) =>
    app.send(`/webhooks/${path}`, request);

  it('S23: answers a repetition as the first time, whatever was rendered anew', async () => {
    const event = { id: 'evt_1', type: 'charge.succeeded', pending_webhooks: 2 };
    const first = await send('stripe', stripeWebhook(event));
    expect([first.status, first.json()]).toEqual([200, { received: 'charge.succeeded' }]);
    const again = await send('stripe', stripeWebhook({ ...event, pending_webhooks: 1 }));
    expect([again.status, again.text]).toEqual([200, first.text]);
    expect(again.headers['idempotent-replayed']).toBe('true');
    expect(events.filter((type) => type === 'executed')).toHaveLength(1);
    expect(app.unknownCallers).toEqual([]);
  });

  it('S23: refuses a forged one, and leaves no record of it', async () => {
    const event = { id: 'evt_2', type: 'charge.succeeded' };
    const genuine = stripeWebhook(event);
    const forged: { headers: Record<string, string>; body: string }[] = [
      { ...genuine, body: genuine.body.replace('charge', 'refund') },
      stripeWebhook(event, { secret: 'whsec_guessed' }),
      stripeWebhook(event, { ageSeconds: 400 }),
      stripeWebhook(event, { ageSeconds: -400 }),
      { ...genuine, headers: { 'content-type': 'application/json' } },
      { ...genuine, headers: { ...genuine.headers, 'stripe-signature': 't=abc,v1=00' } },
    ];
    for (const one of forged)
      expectProblem(await send('stripe', one), 400, 'IDEMPOTENCY_WEBHOOK_INVALID');
    expect(new Set(events)).toEqual(new Set(['rejected']));
    expect((await send('stripe', genuine)).status).toBe(200);
  });

  it('is described with its refusal', () => {
    const document = createIdempotentDocument(app.app, new DocumentBuilder().build());
    const { responses } = document.paths['/webhooks/stripe']!.post!;
    expect(JSON.stringify(responses['400'])).toContain('IDEMPOTENCY_WEBHOOK_INVALID');
  });

  it('accepts the old secret beside the new one, and clocks that differ a little', async () => {
    for (const [id, options] of Object.entries({
      old: { secret: OLD_STRIPE_SECRET },
      late: { ageSeconds: 200 },
      early: { ageSeconds: -200 },
    }))
      expect((await send('stripe', stripeWebhook({ id, type: 'a' }, options))).status).toBe(200);
  });

  it('verifies what Standard Webhooks has published, as its own library does', async () => {
    const { secret, id, time, body, signature } = STANDARD;
    const sign = (at: Date): string => new StandardWebhook(secret).sign(id, at, body);
    expect(sign(new Date(time * 1000))).toBe(signature);
    const webhook = (at: number, signed: string) => ({
      headers: {
        'webhook-id': id,
        'webhook-timestamp': String(at),
        'webhook-signature': `v1,AAAA ${signed}`,
        'content-type': 'application/json',
      },
      body,
    });
    expectProblem(
      await send('standard', webhook(time, signature)),
      400,
      'IDEMPOTENCY_WEBHOOK_INVALID',
    );
    const now = Math.floor(Date.now() / 1000);
    for (let repeat = 0; repeat < 2; repeat += 1) {
      const reply = await send('standard', webhook(now, sign(new Date(now * 1000))));
      expect(reply.status).toBe(204);
    }
    const { now: today } = Date;
    Date.now = () => time * 1000 + 1000;
    const published = await send('standard', webhook(time, signature)).finally(() => {
      Date.now = today;
    });
    expect(published.status).toBe(204);
    expect(events.filter((type) => type === 'executed')).toHaveLength(1);
  });
});

it('verifies what GitHub has published', () => {
  const key = webhookEvent({
    verify: ({ headers, isSigned }) =>
      isSigned({
        secrets: [GITHUB.secret],
        signatures: [headers['x-hub-signature-256']!.slice('sha256='.length)],
        encoding: 'hex',
      }),
    id: header('X-GitHub-Delivery'),
  });
  const headers = { 'x-hub-signature-256': GITHUB.signature, 'x-github-delivery': 'd-1' };
  const call = (body: string) => ({
    type: 'http',
    request: { headers, rawBody: Buffer.from(body) },
    scope: 'POST /webhooks/github',
    principal: undefined,
  });
  expect(key.read(call(GITHUB.body))).toBe('d-1');
  expect(() => key.read(call('Hello, World?'))).toThrow('not signed');
});

it('shows the examples in the documentation as they are', () => {
  const root = join(import.meta.dirname, '../..');
  const page = readFileSync(join(root, 'docs/webhooks.md'), 'utf8');
  expect(page).toContain(readFileSync(join(import.meta.dirname, 'examples.ts'), 'utf8'));
});

describe.each(PLATFORMS)('a webhook whose bytes are not there, on %s', (platform) => {
  it('is not handled, and the log names the remedy', async () => {
    const app = await boot(platform, { controllers: [WebhooksController] });
    try {
      const reply = await app.send('/webhooks/stripe', stripeWebhook({ id: 'a', type: 'b' }));
      expectProblem(reply, 500, 'IDEMPOTENCY_NOT_PROTECTED');
      expect(app.complaints.join('\n')).toMatch(/POST \/webhooks\/stripe.*rawBody: true/s);
    } finally {
      await app.close();
    }
  });
});

describe('a verification of the application', () => {
  const secret = 'a secret';
  const signed = (body: string): string =>
    createHmac('sha256', secret).update(body).digest('base64');

  async function replyOf(options: Partial<WebhookEventOptions>): Promise<[Reply, string[]]> {
    const verify = ({ isSigned, headers }: Webhook): boolean =>
      isSigned({ secrets: secret, signatures: [headers['sig'] ?? ''], encoding: 'base64' });
    const key = webhookEvent({ verify, id: header('id'), ...options });
    @Controller()
    class Hooks {
      @Idempotent({ key })
      @Post('hooks')
      hook(): string {
        return 'done';
      }
    }
    const app = await boot('express', { controllers: [Hooks], rawBody: true });
    try {
      const body = '{"a": 1}';
      const headers = { sig: signed(body), id: '1', 'content-type': 'application/json' };
      const reply = await app.send('/hooks', { headers, body });
      await eventually(() => true);
      return [reply, app.complaints];
    } finally {
      await app.close();
    }
  }

  it.each<[string, number, Partial<WebhookEventOptions>]>([
    ['may take its time', 201, { verify: () => Promise.resolve({ id: 'x' }) }],
    [
      'gives what it has found to the id',
      201,
      {
        verify: ({ rawBody }) => JSON.parse(String(rawBody)) as object,
        id: ({ verified }) => (verified as { a: number }).a,
      },
    ],
    [
      'may check the time itself',
      201,
      {
        tolerance: '1m',
        verify: ({ toleranceSeconds }) => toleranceSeconds === 60,
      },
    ],
    [
      'refuses with an error',
      400,
      {
        verify: () => {
          throw new Error('bad signature');
        },
      },
    ],
    ['refuses with an error later', 400, { verify: () => Promise.reject(new Error('bad')) }],
    ['refuses with nothing', 400, { verify: () => undefined }],
    ['refuses with a date that is none', 400, { verify: () => new Date(NaN) }],
    ['must find an id', 400, { id: () => undefined }],
  ])('%s: %i', async (_, status, options) => {
    expect((await replyOf(options))[0].status).toBe(status);
  });

  it.each<[string, Partial<WebhookEventOptions>]>([
    ['a tolerance that nothing checks', { tolerance: '1m' }],
    [
      'a secret that is empty',
      { verify: ({ isSigned }) => isSigned({ secrets: '', signatures: [], encoding: 'hex' }) },
    ],
  ])('fails and says why: %s', async (_, options) => {
    const [reply] = await replyOf(options);
    expect(reply.status).toBeGreaterThanOrEqual(400);
  });

  it.each<[string, object]>([
    ['verify', { id: header('id') }],
    ['id', { verify: () => true, id: 'id' }],
    ['tolerance', { verify: () => true, id: header('id'), tolerance: 'soon' }],
    ['secret', { verify: () => true, id: header('id'), secret: 'x' }],
  ])('is refused with a wrong %s', (option, options) => {
    expect(() => webhookEvent(options as WebhookEventOptions)).toThrow(option);
  });
});
