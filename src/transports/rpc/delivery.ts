import type { LoggerService } from '@nestjs/common';
import type { CancelTimer, Clock } from '../../engine/clock.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { RmqChannel, RmqContext, RmqMessage } from './transport-context.js';

/** What a queue is told about a message. Of several handlers, the strongest verdict counts. */
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
   * The delivery of a handler's message. All handlers of the event share it.
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
 * One delivered message. The queue is told the outcome once, when all its handlers have finished.
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

const SETTLES_ALL: ReadonlySet<unknown> = new Set(['ackAll', 'nackAll']);
/** With `true` as second argument they settle all older messages as well. */
const SETTLES_OLDER: ReadonlySet<unknown> = new Set(['ack', 'nack']);

/** RabbitMQ's reason for closing a channel on which a message was settled twice. */
const NOT_EXPECTED = 'unknown delivery tag';
const REMEDY =
  'RabbitMQ did not expect the acknowledgement of a message: `acknowledge: true` needs `noAck: false`.';

/**
 * A channel, and the messages that are still to be settled on it. A broker closes a channel on
 * which a message is settled twice, so messages that handlers settle themselves are noted.
 */
class WatchedChannel {
  /** The channel that handlers get. */
  readonly forHandlers: RmqChannel;
  private readonly known = new WeakSet<RmqMessage>();
  private readonly unsettled = new Set<RmqMessage>();

  constructor(
    private readonly channel: RmqChannel,
    logger: LoggerService,
  ) {
    this.forHandlers = this.watched();
    channel.on('error', ({ message }) => {
      if (message.includes(NOT_EXPECTED)) logger.error(`${REMEDY} RabbitMQ says: ${message}`);
    });
  }

  watch(message: RmqMessage): void {
    this.known.add(message);
    this.unsettled.add(message);
  }

  acknowledge(message: RmqMessage): void {
    this.settle(message, () => this.channel.ack(message));
  }

  refuse(message: RmqMessage, requeue: boolean): void {
    this.settle(message, () => this.channel.nack(message, false, requeue));
  }

  private settle(message: RmqMessage, tell: () => void): void {
    if (!this.unsettled.delete(message)) return;
    try {
      tell();
    } catch {
      // The channel is closed, and the message on its way to another consumer.
    }
  }

  private watched(): RmqChannel {
    return new Proxy(this.channel, {
      get: (channel, name): unknown => {
        const member: unknown = Reflect.get(channel, name);
        if (typeof member !== 'function') return member;
        const settles = SETTLES_ALL.has(name) || SETTLES_OLDER.has(name) || name === 'reject';
        if (!settles) return member.bind(channel) as unknown;
        return (...args: unknown[]): unknown => {
          const message = args[0] as RmqMessage;
          if (this.known.has(message) && !this.unsettled.has(message)) return undefined;
          for (const one of this.settledBy(name, args)) this.unsettled.delete(one);
          return Reflect.apply(member, channel, args) as unknown;
        };
      },
    });
  }

  private settledBy(name: string | symbol, args: readonly unknown[]): Iterable<RmqMessage> {
    if (SETTLES_ALL.has(name)) return this.unsettled;
    const message = args[0] as RmqMessage;
    if (!SETTLES_OLDER.has(name) || args[1] !== true) return [message];
    const last = message.fields.deliveryTag;
    return [...this.unsettled].filter(({ fields }) => fields.deliveryTag <= last);
  }
}
