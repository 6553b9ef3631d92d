import { Injectable } from '@nestjs/common';
import { channel, type Channel } from 'node:diagnostics_channel';
import { type Observable, Subject } from 'rxjs';
import { EVENT_TYPES, type EventSink, type IdempotencyEvent } from '../engine/events.js';

/** Channels of `node:diagnostics_channel` are called `nestjs-idempotency:<type of the event>`. */
export const CHANNEL_PREFIX = 'nestjs-idempotency:';

/** Hands events to whoever listens: `events$`, and one diagnostics channel per type. */
@Injectable()
export class IdempotencyEvents implements EventSink {
  private readonly subject = new Subject<IdempotencyEvent>();
  private readonly channels = Object.fromEntries(
    EVENT_TYPES.map((type) => [type, channel(CHANNEL_PREFIX + type)]),
  ) as Record<IdempotencyEvent['type'], Channel>;
  private readonly allChannels = Object.values(this.channels);

  readonly events$: Observable<IdempotencyEvent> = this.subject.asObservable();

  get hasListeners(): boolean {
    return this.subject.observed || this.allChannels.some(({ hasSubscribers }) => hasSubscribers);
  }

  emit(event: IdempotencyEvent): void {
    this.subject.next(event);
    this.channels[event.type].publish(event);
  }

  /** Nothing happens any more. */
  end(): void {
    this.subject.complete();
  }
}
