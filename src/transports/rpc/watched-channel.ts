import type { LoggerService } from '@nestjs/common';
import type { RmqChannel, RmqMessage } from './transport-context.js';

const SETTLES_ALL: ReadonlySet<unknown> = new Set(['ackAll', 'nackAll']);
/** With `true` as second argument they settle all older messages as well. */
const SETTLES_OLDER: ReadonlySet<unknown> = new Set(['ack', 'nack']);

/** What RabbitMQ closes a channel with on which a message was settled that was settled already. */
const NOT_EXPECTED = 'unknown delivery tag';
const REMEDY =
  'A message was acknowledged that RabbitMQ expects no acknowledgement for: `acknowledge: true` needs `noAck: false`.';

/**
 * A channel, and what is still to be settled on it. A broker closes the channel on which a message
 * is settled twice, so what handlers settle by themselves is noted.
 */
export class WatchedChannel {
  /** What handlers get instead of the channel. */
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
