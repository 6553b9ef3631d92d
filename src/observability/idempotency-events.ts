import { Injectable, Logger } from '@nestjs/common';
import { channel, type Channel } from 'node:diagnostics_channel';
import { type Observable, Subject } from 'rxjs';
import type { CircuitChange } from '../engine/circuit.js';
import { messageOf } from '../engine/driver-errors.js';
import type { StoreCall, StoreCallSink } from '../engine/store-calls.js';
import { EVENT_TYPES, type EventSink, type IdempotencyEvent } from '../engine/events.js';
import { IsolatedObservable, publishIsolated } from './isolated-events.js';

/** Channels of `node:diagnostics_channel` are named `nestjs-idempotency:<type of the event>`. */
export const CHANNEL_PREFIX = 'nestjs-idempotency:';

/** The channel for every call of the store, with its duration. */
export const STORE_CALL_CHANNEL = `${CHANNEL_PREFIX}store-call`;

/** The channel for a store that has begun or ceased to fail. */
export const CIRCUIT_CHANNEL = `${CHANNEL_PREFIX}circuit`;

/**
 * Publishes events on `events$` and on one diagnostics channel per type. A subscriber that throws
 * or rejects does not affect the operation, the process or other subscribers. Its first failure is
 * logged.
 */
@Injectable()
export class IdempotencyEvents implements EventSink, StoreCallSink {
  private readonly subject = new Subject<IdempotencyEvent>();
  private readonly channels = Object.fromEntries(
    EVENT_TYPES.map((type) => [type, channel(CHANNEL_PREFIX + type)]),
  ) as Record<IdempotencyEvent['type'], Channel>;
  private readonly allChannels = Object.values(this.channels);

  private readonly storeCallSubject = new Subject<StoreCall>();
  private readonly storeCallChannel = channel(STORE_CALL_CHANNEL);

  private readonly circuitSubject = new Subject<CircuitChange>();
  private readonly circuitChannel = channel(CIRCUIT_CHANNEL);

  private readonly reported = new WeakSet<object>();
  private readonly failed = (subscriber: object, error: unknown): void => {
    if (this.reported.has(subscriber)) return;
    this.reported.add(subscriber);
    const problem = 'A subscriber of idempotency events failed; further failures are not logged.';
    new Logger('Idempotency').error(problem, error instanceof Error ? error.stack : String(error));
  };

  readonly events$: Observable<IdempotencyEvent> = new IsolatedObservable(
    this.subject,
    this.failed,
  );
  readonly storeCalls$: Observable<StoreCall> = new IsolatedObservable(
    this.storeCallSubject,
    this.failed,
  );

  readonly circuit$: Observable<CircuitChange> = new IsolatedObservable(
    this.circuitSubject,
    this.failed,
  );

  get hasListeners(): boolean {
    return this.subject.observed || this.allChannels.some(({ hasSubscribers }) => hasSubscribers);
  }

  emit(event: IdempotencyEvent): void {
    this.subject.next(event);
    publishIsolated(this.channels[event.type], event, this.failed);
  }

  get hasStoreListeners(): boolean {
    return this.storeCallSubject.observed || this.storeCallChannel.hasSubscribers;
  }

  emitStoreCall(call: StoreCall): void {
    this.storeCallSubject.next(call);
    publishIsolated(this.storeCallChannel, call, this.failed);
  }

  emitCircuit(change: CircuitChange): void {
    logCircuit(change);
    this.circuitSubject.next(change);
    publishIsolated(this.circuitChannel, change, this.failed);
  }

  /** Completes all streams. */
  end(): void {
    this.subject.complete();
    this.storeCallSubject.complete();
    this.circuitSubject.complete();
  }
}

/** The cause may have the client's own words for an address, but no key and no reply: nothing was claimed. */
function logCircuit({ state, part, cause }: CircuitChange): void {
  const logger = new Logger('Idempotency');
  const store = part === undefined ? 'The idempotency store' : `The idempotency store (${part})`;
  if (state === 'closed') return logger.log(`${store} answers again, and calls are let through.`);
  logger.warn(
    `${store} keeps failing (${messageOf(cause)}). Until it answers again, calls are refused at once ` +
      "(or run unprotected, where onStoreFailure is 'proceed').",
  );
}
