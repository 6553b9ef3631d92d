import type { INestApplication } from '@nestjs/common';
import type { IdempotencyModuleOptions, IdempotentCall, TokenOptions } from 'nestjs-idempotency';
import {
  type AppOptions,
  boot,
  type Platform,
  PLATFORMS,
  type TestApp,
} from '../../support/http.js';

export const SECRET = 'a secret for tests, longer than 32 bytes';

export interface Mode {
  readonly mode: 'stored' | 'signed';
  readonly tokens: TokenOptions;
}

export const MODES: readonly Mode[] = [
  { mode: 'stored', tokens: {} },
  { mode: 'signed', tokens: { mode: 'signed', secrets: [SECRET] } },
];

export const CASES = PLATFORMS.flatMap((platform) => MODES.map((mode) => ({ platform, ...mode })));

/** Whoever the header `X-User` names is signed in. */
export const principal = ({ request }: IdempotentCall): string | undefined =>
  request.headers['x-user'] as string | undefined;

export interface Issued {
  readonly token: string;
  readonly expiresAt: string;
  readonly header: string;
}

/** An application with the route for tokens, for users named by a header. */
export function bootTokenShop(
  platform: Platform,
  idempotency: IdempotencyModuleOptions,
  app: Omit<AppOptions, 'idempotency'>,
): Promise<TestApp> {
  const tokens = { purposes: ['order', 'gift'], ...idempotency.tokens };
  return boot(platform, {
    ...app,
    idempotency: { principal, ...idempotency, tokens, tokenController: true },
  });
}

/** A token from the route for them. */
export async function tokenFor(
  test: TestApp,
  purpose?: string,
  headers: Record<string, string> = { 'x-user': 'alice' },
): Promise<string> {
  const reply = await test.send('/idempotency/tokens', { body: { purpose }, headers });
  expect({ status: reply.status, body: reply.text }).toMatchObject({ status: 201 });
  return (reply.json() as Issued).token;
}

/** Lets bodies of some megabytes through. */
export function takeLargeBodies(app: INestApplication): void {
  const isExpress = app.getHttpAdapter().getType() === 'express';
  const parsers = app as unknown as { useBodyParser(type: string, options: object): void };
  parsers.useBodyParser(
    isExpress ? 'json' : 'application/json',
    isExpress ? { limit: '4mb' } : { bodyLimit: 4 * 1024 * 1024 },
  );
}
