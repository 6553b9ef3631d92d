import { Body, Controller, Headers, HttpCode, Post } from '@nestjs/common';
import { header, Idempotent, webhookEvent } from 'nestjs-idempotency';
import type { Webhook } from 'nestjs-idempotency/contracts';

/** While a secret is replaced, there are two. */
const secretsOf = (name: string): string[] => (process.env[name] ?? '').split(',');

/** Stripe: `t=1492774577,v1=5257a869…`, with the time in seconds. */
function stripe({ rawBody, headers, isSigned }: Webhook): Date | false {
  const fields = (headers['stripe-signature'] ?? '').split(',').map((one) => one.split('='));
  const time = fields.find(([name]) => name === 't')?.[1] ?? '';
  const signatures = fields.flatMap(([name, value]) => (name === 'v1' && value ? [value] : []));
  const secrets = secretsOf('STRIPE_WEBHOOK_SECRETS');
  const content = [`${time}.`, rawBody];
  return isSigned({ secrets, signatures, encoding: 'hex', content })
    ? new Date(Number(time) * 1000)
    : false;
}

/** Standard Webhooks: `v1,g0hM9SsE…=`, several with spaces between them. */
function standard({ rawBody, headers, isSigned }: Webhook): Date | false {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': sent = '' } = headers;
  const signatures = sent.split(' ').flatMap((one) => /^v1,(.*)$/.exec(one)?.[1] ?? []);
  const secrets = secretsOf('STANDARD_WEBHOOK_SECRETS').map((secret) =>
    Buffer.from(secret.replace(/^whsec_/, ''), 'base64'),
  );
  const content = [`${id}.${time}.`, rawBody];
  return isSigned({ secrets, signatures, encoding: 'base64', content })
    ? new Date(Number(time) * 1000)
    : false;
}

/** GitHub signs the body alone: no time, and the id is not signed. */
function github({ headers, isSigned }: Webhook): boolean {
  const [, signature = ''] = (headers['x-hub-signature-256'] ?? '').split('sha256=');
  const secrets = secretsOf('GITHUB_WEBHOOK_SECRETS');
  return isSigned({ secrets, signatures: [signature], encoding: 'hex' });
}

@Controller('webhooks')
export class WebhooksController {
  @Idempotent({
    key: webhookEvent({ verify: stripe, id: ({ body }) => (body as { id: string }).id }),
    ttl: '7d',
    wait: '5s',
  })
  @HttpCode(200)
  @Post('stripe')
  async stripe(@Body() event: { readonly type: string }): Promise<{ received: string }> {
    return { received: event.type };
  }

  @Idempotent({ key: webhookEvent({ verify: standard, id: header('webhook-id') }), ttl: '7d' })
  @HttpCode(204)
  @Post('standard')
  async standard(): Promise<void> {}

  @Idempotent({ key: webhookEvent({ verify: github, id: header('X-GitHub-Delivery') }) })
  @HttpCode(202)
  @Post('github')
  async github(@Headers('x-github-event') event: string): Promise<{ accepted: string }> {
    return { accepted: event };
  }
}
