import { createHmac, timingSafeEqual } from 'node:crypto';
import { types } from 'node:util';
import { type Awaitable, chain, isPending } from '../engine/awaitable.js';
import { IdempotencyConfigurationError, wrongOption } from '../engine/configuration-error.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import type { IdempotencyErrorCode } from '../engine/refusals.js';
import type { IdempotentCall } from './call.js';
import { keyPart } from './key-part.js';
import { InvalidKeyError, type KeySource } from './key-source.js';

/** One or several secrets. While a secret is replaced, give the new one and the old one. */
export type WebhookSecrets = string | Uint8Array | readonly (string | Uint8Array)[];

/** An HMAC that a provider has sent, and what it is made of. */
export interface WebhookHmac {
  /** Text counts as UTF-8. Any of them may have been used. */
  readonly secrets: WebhookSecrets;
  /** The signatures that were sent. One of them must be right. */
  readonly signatures: readonly string[];
  /** How the signatures are written. */
  readonly encoding: 'hex' | 'base64';
  /**
   * What is signed, in parts.
   * @default the raw body
   */
  readonly content?: readonly (string | Uint8Array)[];
  /**
   * As `node:crypto` calls it.
   * @default 'sha256'
   */
  readonly algorithm?: string;
}

/** A webhook as it was received. */
export interface Webhook {
  /** The body, byte for byte. */
  readonly rawBody: Buffer;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** The parsed body, if there is a parser for it. */
  readonly body: unknown;
  /** What {@link WebhookEventOptions.verify} returned; absent while it runs. */
  readonly verified?: unknown;
  /** The option `tolerance`, for a verification that checks the time itself. */
  readonly toleranceSeconds: number;
  /** Whether one of the signatures is right. Takes the same time wherever they differ. */
  readonly isSigned: (hmac: WebhookHmac) => boolean;
}

/** Options of {@link webhookEvent}. */
export interface WebhookEventOptions {
  /**
   * Verifies the webhook over its raw body. `false`, nothing, or an error means that it is not from the
   * provider. A `Date` is the time that the provider has signed: it is compared with `tolerance`.
   * Anything else means that the webhook is genuine, and is `verified` for `id`.
   */
  readonly verify: (webhook: Webhook) => unknown;
  /** Where the id of the event is: a source, or a function of the webhook. */
  readonly id:
    KeySource | ((webhook: Webhook) => Awaitable<string | number | bigint | null | undefined>);
  /**
   * How far the signed time may be from the clock of this process, in both directions.
   * @default '5m'
   */
  readonly tolerance?: Duration;
}

const OPTIONS = ['verify', 'id', 'tolerance'];
const DEFAULT_TOLERANCE = '5m';
const DESCRIPTION = 'webhook event';

/**
 * The key is the id of a provider's event (Stripe, GitHub, Standard Webhooks). The webhook is verified
 * first, over the bytes that were received, so a forged one is refused with 400
 * `IDEMPOTENCY_WEBHOOK_INVALID` and leaves no record. A retry need not repeat the body, because
 * providers render it anew.
 *
 * Create the application with `rawBody: true`, or parse the route's content as bytes.
 *
 * @example
 * ```ts
 * webhookEvent({
 *   verify: ({ rawBody, headers }) => new Webhook(secret).verify(rawBody.toString(), headers),
 *   id: header('webhook-id'),
 * })
 * ```
 *
 * @throws {@link IdempotencyConfigurationError} for an invalid option
 */
export function webhookEvent(options: WebhookEventOptions): KeySource {
  checkOptions(options);
  const { verify, id, tolerance } = options;
  const toleranceMs = parseDuration('tolerance', tolerance ?? DEFAULT_TOLERANCE);
  const isToleranceGiven = tolerance !== undefined;

  function read(call: IdempotentCall): Awaitable<string | undefined> {
    const webhook = new ReceivedWebhook(call, toleranceMs);
    const genuine = verifiedBy(webhook, () => verify(webhook), isToleranceGiven);
    return chain(genuine, () => {
      const found = typeof id === 'function' ? id(webhook) : id.read(call);
      return chain(found, (part) => keyPart(part, DESCRIPTION));
    });
  }

  return {
    description: DESCRIPTION,
    readsOnlyHead: false,
    coversContent: true,
    tellsCallers: true,
    refusals: ['IDEMPOTENCY_WEBHOOK_INVALID'],
    foundIn: ['http'],
    read,
  };
}

/** @throws {@link WebhookInvalidError} for a webhook that is not from the provider, or too old */
function verifiedBy(
  webhook: ReceivedWebhook,
  verify: () => unknown,
  isToleranceGiven: boolean,
): Awaitable<void> {
  const decide = (verified: unknown): void => {
    if (verified instanceof Date) webhook.checkTime(verified);
    else if (isToleranceGiven && !webhook.isToleranceRead) throw toleranceUnused();
    if (verified === false || verified === undefined || verified === null)
      throw new WebhookInvalidError('It is not signed by the provider.');
    webhook.verified = verified;
  };
  let verified: unknown;
  try {
    verified = verify();
  } catch (cause) {
    throw new WebhookInvalidError('Its verification failed.', { cause });
  }
  return isPending(verified)
    ? Promise.resolve(verified).then(decide, (cause: unknown) => {
        throw new WebhookInvalidError('Its verification failed.', { cause });
      })
    : decide(verified);
}

class ReceivedWebhook implements Webhook {
  readonly rawBody: Buffer;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
  verified: unknown;
  /** The verification has asked for the tolerance. */
  isToleranceRead = false;

  constructor(
    { request, scope }: IdempotentCall,
    private readonly toleranceMs: number,
  ) {
    this.rawBody = bytesOf(request.rawBody) ?? bytesOf(request.body) ?? noRawBody(scope);
    this.body = request.body;
    const headers: Record<string, string> = Object.create(null) as never;
    for (const [name, value] of Object.entries(request.headers))
      if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
    this.headers = headers;
  }

  get toleranceSeconds(): number {
    this.isToleranceRead = true;
    return Math.floor(this.toleranceMs / 1000);
  }

  readonly isSigned = (hmac: WebhookHmac): boolean => {
    const { secrets, signatures, encoding, content, algorithm = 'sha256' } = hmac;
    const all = typeof secrets === 'string' || ArrayBuffer.isView(secrets) ? [secrets] : secrets;
    const sent = signatures.map((signature) => Buffer.from(signature, encoding));
    let isRight = false;
    for (const secret of all as readonly (string | Uint8Array)[]) {
      if (secret.length === 0) throw noSecret();
      const hmac = createHmac(algorithm, secret);
      for (const part of content ?? [this.rawBody]) hmac.update(part);
      const expected = hmac.digest();
      // All are compared, so that the time tells nothing about which one is right.
      for (const one of sent)
        isRight = (one.length === expected.length && timingSafeEqual(one, expected)) || isRight;
    }
    return isRight;
  };

  checkTime(signedAt: Date): void {
    // Not a number if the date is not valid.
    const awayMs = Math.abs(Date.now() - signedAt.getTime());
    if (!(awayMs <= this.toleranceMs))
      throw new WebhookInvalidError('The time that was signed is too far from now.');
  }
}

function bytesOf(value: unknown): Buffer | undefined {
  if (Buffer.isBuffer(value)) return value;
  if (types.isUint8Array(value)) return Buffer.from(value);
  return typeof value === 'string' ? Buffer.from(value) : undefined;
}

/** A key that is refused with another code than the strategy's. */
export class RefusedKeyError extends InvalidKeyError {
  constructor(
    override readonly code: IdempotencyErrorCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** The provider has not sent this webhook, or not now. The message is for operators. */
class WebhookInvalidError extends RefusedKeyError {
  constructor(message: string, options?: ErrorOptions) {
    super('IDEMPOTENCY_WEBHOOK_INVALID', message, options);
  }
}

function noRawBody(scope: string): never {
  throw new RefusedKeyError(
    'IDEMPOTENCY_NOT_PROTECTED',
    `The webhook at ${scope} cannot be verified, because the bytes of its body are not there. Create the application with the option rawBody: NestFactory.create(AppModule, { rawBody: true }) on Express, NestFactory.create(AppModule, new FastifyAdapter(), { rawBody: true }) on Fastify. For other content than JSON and forms, register a parser as well: app.useBodyParser('raw', { type: 'application/xml' }) on Express, app.useBodyParser('application/xml') on Fastify.`,
  );
}

function noSecret(): IdempotencyConfigurationError {
  return wrongOption(
    'secrets of isSigned()',
    'an empty secret',
    'secrets that are not empty',
    'Anybody can sign with an empty secret. Read it from where the application keeps it.',
  );
}

function toleranceUnused(): IdempotencyConfigurationError {
  return wrongOption(
    'tolerance of webhookEvent()',
    'a verification that does not tell the signed time',
    'a `verify` that returns the signed time as a Date, or uses `webhook.toleranceSeconds`',
    'Return the Date that the provider has signed, or pass webhook.toleranceSeconds to the function that verifies.',
  );
}

function checkOptions(options: WebhookEventOptions): void {
  const given = options as unknown as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given))
    if (!OPTIONS.includes(name))
      throw wrongOption(
        `${name} of webhookEvent()`,
        given[name],
        OPTIONS.join(', '),
        'Remove the option, or correct its name.',
      );
  const { verify, id } = given;
  if (typeof verify !== 'function')
    throw wrongOption(
      'verify of webhookEvent()',
      verify,
      'a function of the webhook',
      'Verify the signature over webhook.rawBody.',
    );
  if (
    typeof id !== 'function' &&
    typeof (id as Partial<KeySource> | undefined)?.read !== 'function'
  )
    throw wrongOption(
      'id of webhookEvent()',
      id,
      'a source such as body(), or a function of the webhook',
      "Say where the event's id is, such as id: body('id').",
    );
}
