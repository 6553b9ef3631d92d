import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import type { CircuitOptions } from '../../../src/engine/circuit.js';
import { systemClock } from '../../../src/engine/clock.js';
import { IdempotencyEngine } from '../../../src/engine/engine.js';
import type { IdempotencyEvent } from '../../../src/engine/events.js';
import type { Beginning } from '../../../src/engine/operation.js';
import { StoreCalls } from '../../../src/engine/store-calls.js';
import { type Given, operation, told } from '../../support/engine.js';
import { newDeferred } from '../../support/deferred.js';

export const STORE_TIMEOUT_MS = 500;
/** What a busy machine may add to any bound; without one, calls never end while a server is away. */
export const SLACK_MS = 10_000;

/** A client of the application, as it would be made there. */
export interface AppClient<Store extends IdempotencyStore = IdempotencyStore> {
  readonly store: Store;
  close(): Promise<void> | void;
}

/** One process with an engine on the system's clock, and everything that it reports. */
export class AppNode<Store extends IdempotencyStore = IdempotencyStore> {
  readonly events: IdempotencyEvent[] = [];
  readonly engine: IdempotencyEngine;

  /** @param storeTimeoutMs also bounds how long a connection may take to be opened */
  constructor(
    private readonly client: AppClient<Store>,
    storeTimeoutMs = STORE_TIMEOUT_MS,
    circuit?: CircuitOptions,
  ) {
    const sink = { hasListeners: true, emit: (event: IdempotencyEvent) => this.events.push(event) };
    const calls = new StoreCalls(client.store, systemClock, storeTimeoutMs, undefined, circuit);
    this.engine = new IdempotencyEngine(calls, systemClock, sink, newDeferred());
  }

  get store(): Store {
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

  async close(): Promise<void> {
    this.engine.stop();
    await this.client.store.close?.();
    await this.client.close();
  }
}
