import type { LoggerService } from '@nestjs/common';
import type { CancelTimer, Clock } from '../../engine/clock.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { RmqChannel, RmqContext, RmqMessage } from './transport-context.js';
import { WatchedChannel } from './watched-channel.js';

/** What a queue is told of a message; of several handlers the one that wants most counts. */
export type Verdict = 'acknowledge' | 'reject' | 'requeue';

const STRONGEST_FIRST: readonly Verdict[] = ['requeue', 'reject', 'acknowledge'];

/** Messages that wait to be acknowledged. */
export class Deliveries {
  private readonly open = new WeakMap<RmqMessage, Delivery>();
  private readonly channels = new WeakMap<RmqChannel, WatchedChannel>();

  constructor(
    private readonly clock: Clock,
    private readonly logger: LoggerService,
  ) {}

  /**
   * The delivery that a handler is called with; the same one for all handlers of the event.
   *
   * @param handlers how many of them there are
   */
  of(context: RmqContext, handlers: number): Delivery {
    const message = context.getMessage();
    let delivery = this.open.get(message);
    if (delivery === undefined) {
      const channel = this.watched(context.getChannelRef());
      context.getChannelRef = () => channel.forHandlers;
      delivery = new Delivery(message, channel, handlers, this.clock);
      this.open.set(message, delivery);
    }
    return delivery;
  }

  private watched(channel: RmqChannel): WatchedChannel {
    let watched = this.channels.get(channel);
    if (watched === undefined) {
      watched = new WatchedChannel(channel, this.logger);
      this.channels.set(channel, watched);
    }
    return watched;
  }
}

/**
 * One message that was handed over, until the queue is told what became of it: once, when all its
 * handlers are through.
 */
export class Delivery {
  private readonly verdicts = new Map<ProtectedHandler, Verdict>();
  private running = 0;
  private pauseMs = 0;
  private stopWaiting: CancelTimer | undefined;

  constructor(
    private readonly message: RmqMessage,
    private readonly channel: WatchedChannel,
    private readonly handlers: number,
    private readonly clock: Clock,
  ) {
    channel.watch(message);
  }

  begin(): void {
    this.stopWaiting?.();
    this.running += 1;
  }

  end(handler: ProtectedHandler, verdict: Verdict): void {
    const { retryAfterMs, leaseMs } = handler.policy;
    this.running -= 1;
    this.verdicts.set(handler, verdict);
    if (verdict === 'requeue') this.pauseMs = Math.max(this.pauseMs, retryAfterMs);
    if (this.running > 0) return;
    if (this.verdict === 'requeue') this.settleAfter(this.pauseMs);
    else if (this.verdicts.size >= this.handlers) this.settle();
    // Handlers that have not begun: perhaps their guards have refused the message.
    else this.settleAfter(leaseMs);
  }

  private get verdict(): Verdict {
    const all = [...this.verdicts.values()];
    return STRONGEST_FIRST.find((one) => all.includes(one))!;
  }

  private settleAfter(delayMs: number): void {
    this.stopWaiting = this.clock.after(delayMs, () => this.settle());
  }

  private settle(): void {
    const { channel, message, verdict } = this;
    if (verdict === 'acknowledge') channel.acknowledge(message);
    else channel.refuse(message, verdict === 'requeue');
  }
}
