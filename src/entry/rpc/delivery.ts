import type { Clock } from '../../engine/clock.js';
import type { RmqChannel, RmqContext, RmqMessage } from './transport-context.js';

/** What a queue is told of a message; of several handlers the one that wants most counts. */
export type Verdict = 'acknowledge' | 'reject' | 'requeue';

const STRONGER: readonly Verdict[] = ['acknowledge', 'reject', 'requeue'];

/** Methods of a channel by which a handler settles messages itself. */
const SETTLING: ReadonlySet<unknown> = new Set(['ack', 'nack', 'reject']);
const SETTLING_ALL: ReadonlySet<unknown> = new Set(['ackAll', 'nackAll']);

/** Messages that wait to be acknowledged. */
export class Deliveries {
  private readonly open = new WeakMap<object, Delivery>();

  constructor(private readonly clock: Clock) {}

  /**
   * The delivery that a handler is called with; the same one for all handlers of the event.
   *
   * @param handlers how many of them there are
   */
  of(context: RmqContext, handlers: number): Delivery {
    const message = context.getMessage();
    let delivery = this.open.get(message);
    if (delivery === undefined) {
      delivery = new Delivery(context, handlers, this.clock);
      this.open.set(message, delivery);
    }
    return delivery;
  }
}

/**
 * One message that was handed over, until the queue is told what became of it: once, when all its
 * handlers are through. Another word on it would close the channel.
 */
export class Delivery {
  private readonly message: RmqMessage;
  private readonly channel: RmqChannel;
  private isSettled = false;
  private running = 0;
  private verdict: Verdict = 'acknowledge';
  private pauseMs = 0;

  constructor(
    context: RmqContext,
    private missing: number,
    private readonly clock: Clock,
  ) {
    this.message = context.getMessage();
    this.channel = context.getChannelRef();
    let watched: RmqChannel | undefined;
    // What handlers get: one that settles the message by itself has done so.
    context.getChannelRef = () => (watched ??= this.watchedChannel());
  }

  begin(): void {
    this.missing -= 1;
    this.running += 1;
  }

  /**
   * @param pauseMs how long a message that goes back is kept from coming again at once
   * @param graceMs how long handlers that have not begun are waited for: a guard of theirs may have
   *   refused the message
   */
  end(verdict: Verdict, pauseMs: number, graceMs: number): void {
    this.running -= 1;
    if (STRONGER.indexOf(verdict) > STRONGER.indexOf(this.verdict)) this.verdict = verdict;
    this.pauseMs = Math.max(this.pauseMs, pauseMs);
    if (this.running > 0) return;
    if (this.missing > 0)
      this.clock.after(graceMs, () => {
        if (this.running === 0) this.settle();
      });
    else if (this.verdict === 'requeue') this.clock.after(this.pauseMs, () => this.settle());
    else this.settle();
  }

  private settle(): void {
    if (this.isSettled) return;
    this.isSettled = true;
    const { channel, message } = this;
    try {
      if (this.verdict === 'acknowledge') channel.ack(message);
      else channel.nack(message, false, this.verdict === 'requeue');
    } catch {
      // The channel is closed, and the message on its way to another consumer.
    }
  }

  private watchedChannel(): RmqChannel {
    return new Proxy(this.channel, {
      get: (channel, name): unknown => {
        const member: unknown = Reflect.get(channel, name);
        if (typeof member !== 'function') return member;
        if (!SETTLING.has(name) && !SETTLING_ALL.has(name)) return member.bind(channel) as unknown;
        return (...args: unknown[]): unknown => {
          const isThis = SETTLING_ALL.has(name) || args[0] === this.message;
          if (isThis && this.isSettled) return undefined;
          if (isThis) this.isSettled = true;
          return Reflect.apply(member, channel, args) as unknown;
        };
      },
    });
  }
}
