import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createClient } from 'redis';
import { systemClock } from '../../../src/engine/clock.js';
import { IdempotencyEngine } from '../../../src/engine/engine.js';
import type { IdempotencyEvent } from '../../../src/engine/events.js';
import type { Beginning } from '../../../src/engine/operation.js';
import { StoreCalls } from '../../../src/engine/store-calls.js';
import { type Given, operation, told } from '../../support/engine.js';

export const STORE_TIMEOUT_MS = 500;
/** What a busy machine may add to any bound. */
export const SLACK_MS = 1_500;

/** A client of the application, as it would be made there. */
export interface AppClient {
  readonly store: RedisStore;
  close(): void;
}

/** Both libraries, with the settings that they come with. */
export const APP_CLIENTS: readonly {
  name: string;
  open: (port: number) => AppClient;
  /** Sends commands again that were on their way when the connection broke. */
  resends: boolean;
}[] = [
  {
    name: 'ioredis',
    resends: true,
    open: (port) => {
      const client = new Redis(port, { retryStrategy: () => 50 });
      client.on('error', () => undefined);
      return { store: new RedisStore({ client }), close: () => client.disconnect() };
    },
  },
  {
    name: 'node-redis',
    resends: false,
    open: (port) => {
      const client = createClient({
        socket: { host: '127.0.0.1', port, reconnectStrategy: () => 50 },
      });
      client.on('error', () => undefined);
      client.connect().catch(() => undefined);
      return { store: new RedisStore({ client }), close: () => client.destroy() };
    },
  },
];

/** One process with an engine on the system's clock, and everything that it reports. */
export class AppNode {
  readonly events: IdempotencyEvent[] = [];
  readonly engine: IdempotencyEngine;

  constructor(private readonly client: AppClient) {
    const sink = { hasListeners: true, emit: (event: IdempotencyEvent) => this.events.push(event) };
    const calls = new StoreCalls(client.store, systemClock, STORE_TIMEOUT_MS);
    this.engine = new IdempotencyEngine(calls, systemClock, sink);
  }

  get store(): RedisStore {
    return this.client.store;
  }

  async begin(given: Given): Promise<Beginning> {
    return this.engine.begin(operation(given));
  }

  /** What a caller is told, and how long that took. */
  async ask(given: Given): Promise<{ told: string; ms: number }> {
    const startedAt = performance.now();
    const answer = told(await this.begin(given));
    return { told: answer, ms: performance.now() - startedAt };
  }

  close(): void {
    this.client.store.close();
    this.client.close();
  }
}
