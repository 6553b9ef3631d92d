import { Injectable } from '@nestjs/common';
import { channel, type Channel } from 'node:diagnostics_channel';
import { type Observable, Subject } from 'rxjs';
import type { StoreCall, StoreCallSink } from '../engine/store-calls.js';
import { EVENT_TYPES, type EventSink, type IdempotencyEvent } from '../engine/events.js';

/** Channels of `node:diagnostics_channel` are called `nestjs-idempotency:<type of the event>`. */
export const CHANNEL_PREFIX = 'nestjs-idempotency:';

/** Where every call of the store is told of, with how long it took. */
export const STORE_CALL_CHANNEL = `${CHANNEL_PREFIX}store-call`;

/** Hands events to whoever listens: `events$`, and one diagnostics channel per type. */
@Injectable()
export class IdempotencyEvents implements EventSink, StoreCallSink {
  private readonly subject = new Subject<IdempotencyEvent>();
  private readonly channels = Object.fromEntries(
    EVENT_TYPES.map((type) => [type, channel(CHANNEL_PREFIX + type)]),
  ) as Record<IdempotencyEvent['type'], Channel>;
  private readonly allChannels = Object.values(this.channels);

  private readonly storeCallSubject = new Subject<StoreCall>();
  private readonly storeCallChannel = channel(STORE_CALL_CHANNEL);

  readonly events$: Observable<IdempotencyEvent> = this.subject.asObservable();
  readonly storeCalls$: Observable<StoreCall> = this.storeCallSubject.asObservable();

  get hasListeners(): boolean {
    return this.subject.observed || this.allChannels.some(({ hasSubscribers }) => hasSubscribers);
  }

  emit(event: IdempotencyEvent): void {
    this.subject.next(event);
    this.channels[event.type].publish(event);
  }

  get hasStoreListeners(): boolean {
    return this.storeCallSubject.observed || this.storeCallChannel.hasSubscribers;
  }

  emitStoreCall(call: StoreCall): void {
    this.storeCallSubject.next(call);
    this.storeCallChannel.publish(call);
  }

  /** Nothing happens any more. */
  end(): void {
    this.subject.complete();
    this.storeCallSubject.complete();
  }
}
