import type { LogLevel } from '@nestjs/common';
import type { IdempotencyModuleOptions, IdempotentOptions } from 'nestjs-idempotency';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { openStore, placeFrom } from '../../processes/support/open-store.js';
import type { StormMessage } from './storm-plan.js';

/** What the consumers of all brokers have in common: effect, record and count of attempts are PostgreSQL's. */
const { DATABASE, BROKER_URL, QUEUE } = process.env as Record<string, string>;
export const broker = { url: BROKER_URL!, queue: QUEUE! };

const business = await openStore('PostgreSQL', placeFrom(DATABASE!));

export const MODULE: IdempotencyModuleOptions = { store: business.store, storeTimeout: '30s' };

/** More attempts than one message can lose to consumers that are killed. */
export const OPTIONS = {
  transaction: true,
  maxAttempts: 6,
  retryAfter: 20,
  lease: '2s',
} as const satisfies Partial<IdempotentOptions>;

/** A refused or dropped message leaves a line on the error output. */
export const LOGGED: LogLevel[] = ['error', 'fatal'];

/** Poison has written, too, before it fails: nothing of that may stay. */
export async function book({ id, isPoison }: StormMessage, manager: unknown): Promise<string> {
  await business.act(id, manager as EntityManager);
  await sleep(2);
  if (isPoison) throw new Error('poison');
  return id;
}

/** Says that the consumer is there, and ends it when it is told to. */
export function serve(app: { close(): Promise<void> }): void {
  process.on('message', () => {
    void app
      .close()
      .then(() => business.close())
      .finally(() => process.exit());
  });
  process.send?.('ready');
}
