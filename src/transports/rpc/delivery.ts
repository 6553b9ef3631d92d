import type { LoggerService } from '@nestjs/common';
import type { Claim } from '../../engine/claim.js';
import type { CancelTimer, Clock } from '../../engine/clock.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { type HandlerRun, handlerRuns } from '../../operation/handler-run.js';
import type { RmqChannel, RmqContext, RmqMessage } from './transport-context.js';

/**
 * What a queue is told about a message; `nothing` if its handler has to settle it. Of several
 * handlers, the strongest verdict counts.
 */
export type Verdict = 'acknowledge' | 'reject' | 'requeue' | 'nothing';

const STRONGEST_FIRST: readonly Verdict[] = ['requeue', 'reject', 'nothing', 'acknowledge'];

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
      delivery = new Delivery(message, channel, handlers, this.clock);
      this.open.set(message, delivery);
    }
    return delivery;
  }

  private watched(channel: RmqChannel): WatchedChannel {
    let watched = this.channels.get(channel);
    if (watched === undefined) {
      watched = new WatchedChannel(channel, this.logger, (message) => this.open.get(message));
      this.channels.set(channel, watched);
    }
    return watched;
  }
}

/** The operation of one handler for a message. */
interface Turn {
  readonly claim: Claim;
  readonly isByHand: boolean;
  /** Absent until the handler is reached. */
  run?: HandlerRun | undefined;
}

/**
 * One delivered message. The queue is told the outcome once, when all its handlers have finished.
 */
export class Delivery {
  private readonly turns = new Map<ProtectedHandler, Turn>();
  private readonly verdicts = new Map<ProtectedHandler, Verdict>();
  private running = 0;
  private pauseMs = 0;
  private stopWaiting: CancelTimer | undefined;
  private hasReported = false;

  constructor(
    private readonly message: RmqMessage,
    private readonly channel: WatchedChannel,
    private readonly handlers: number,
    private readonly clock: Clock,
  ) {
    channel.watch(message);
  }

  /** The handlers have given the message back to its queue themselves. True once. */
  takeReturned(): boolean {
    if (this.hasReported || !this.channel.isReturned(this.message)) return false;
    return (this.hasReported = true);
  }

  /** A handler has got the claim of its operation. */
  claimed(handler: ProtectedHandler, claim: Claim): void {
    this.turns.set(handler, { claim, isByHand: handler.acknowledges !== true });
  }

  /** What runs from now on is the handler's work. */
  reached(handler: ProtectedHandler): void {
    const turn = this.turns.get(handler);
    if (turn !== undefined) turn.run = handlerRuns.getStore();
  }

  /**
   * The message goes back to its queue. The handler that says so has not done its work. Out of a
   * handler, such as in a timer that settles many messages, that is said of all whose messages it is.
   *
   * @returns the operations that have ended: what is on record of them has to be taken back first
   */
  giveBack(): Claim[] {
    const current = handlerRuns.getStore();
    const turns = [...this.turns.values()];
    const own = turns.filter(({ claim }) => current?.isPartOf(claim.id));
    if (own.length > 0) current?.giveBack();
    const given = own.length > 0 ? own : turns.filter(isOpen);
    for (const { run } of given) run?.giveBack();
    return given.flatMap(({ claim }) => (claim.isRunning ? [] : claim));
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
    else if (verdict !== 'nothing') channel.refuse(message, verdict === 'requeue');
  }
}

/** True for a handler that may still say what becomes of the message. */
function isOpen({ claim, isByHand }: Turn): boolean {
  return isByHand || claim.isRunning;
}

const SETTLES_ALL: ReadonlySet<unknown> = new Set(['ackAll', 'nackAll']);
/** With `true` as second argument they settle all older messages as well. */
const SETTLES_OLDER: ReadonlySet<unknown> = new Set(['ack', 'nack']);
/** The position of the argument `requeue`, which is `true` by default. */
const REQUEUE_ARGUMENT: Readonly<Partial<Record<SettlingVerb, number>>> = {
  nack: 2,
  reject: 1,
  nackAll: 0,
};
const SETTLING = ['ack', 'nack', 'reject', 'ackAll', 'nackAll'] as const;
type SettlingVerb = (typeof SETTLING)[number];

/** RabbitMQ's reason for closing a channel on which a message was settled twice. */
const NOT_EXPECTED = 'unknown delivery tag';
const REMEDY =
  'RabbitMQ did not expect the acknowledgement of a message: `acknowledge: true` needs `noAck: false`.';

/**
 * A channel, and the messages that are still to be settled on it. A broker closes a channel on
 * which a message is settled twice, so messages that anybody settles are noted, and later
 * settlements of them are left out.
 */
class WatchedChannel {
  private readonly settled = new WeakSet<RmqMessage>();
  private readonly returned = new WeakSet<RmqMessage>();
  private readonly unsettled = new Set<RmqMessage>();
  /** Until the library's own settlement has been told. */
  private isOurs = false;

  constructor(
    private readonly channel: RmqChannel,
    private readonly logger: LoggerService,
    private readonly deliveryOf: (message: RmqMessage) => Delivery | undefined,
  ) {
    for (const verb of SETTLING) this.watchVerb(verb);
    channel.on('error', ({ message }) => {
      if (message.includes(NOT_EXPECTED)) this.logger.error(`${REMEDY} RabbitMQ says: ${message}`);
    });
  }

  watch(message: RmqMessage): void {
    if (!this.settled.has(message)) this.unsettled.add(message);
  }

  /** True for a message that a handler has given back to its queue. */
  isReturned(message: RmqMessage): boolean {
    return this.returned.has(message);
  }

  acknowledge(message: RmqMessage): void {
    this.settle(message, () => this.channel.ack(message));
  }

  refuse(message: RmqMessage, requeue: boolean): void {
    this.settle(message, () => this.channel.nack(message, false, requeue));
  }

  private settle(message: RmqMessage, tell: () => void): void {
    if (!this.unsettled.has(message)) return;
    this.isOurs = true;
    try {
      tell();
    } catch {
      // The channel is closed, and the message on its way to another consumer.
    } finally {
      this.isOurs = false;
    }
  }

  /**
   * On the channel itself, because guards, filters and interceptors further out may have it
   * already.
   */
  private watchVerb(verb: SettlingVerb): void {
    const channel = this.channel as unknown as Record<string, unknown>;
    const member = channel[verb];
    if (typeof member !== 'function') return;
    channel[verb] = (...args: unknown[]): unknown => {
      const message = args[0] as RmqMessage;
      const isOne = !SETTLES_ALL.has(verb);
      if (isOne && this.settled.has(message)) return undefined;
      const isReturned = (args[REQUEUE_ARGUMENT[verb] ?? -1] ?? verb in REQUEUE_ARGUMENT) === true;
      const messages = this.settledBy(verb, args);
      const ended = messages.flatMap((one) => this.noted(one, isReturned));
      const tell = (): unknown => Reflect.apply(member, channel, args);
      if (ended.length === 0) return tell();
      void this.takeBackFirst(ended, tell);
    };
  }

  /** Notes that a message is settled; the operations to take back before it returns. */
  private noted(message: RmqMessage, isReturned: boolean): Claim[] {
    this.settled.add(message);
    this.unsettled.delete(message);
    if (!isReturned || this.isOurs) return [];
    this.returned.add(message);
    const delivery = this.deliveryOf(message);
    if (delivery !== undefined) return delivery.giveBack();
    // A message of a handler without `@Idempotent()`, given back by a protected method.
    handlerRuns.getStore()?.giveBack();
    return [];
  }

  /** The message must not come back while its record says that it is done. */
  private async takeBackFirst(ended: readonly Claim[], tell: () => unknown): Promise<void> {
    try {
      await Promise.all(ended.map((claim) => claim.takeBack()));
    } catch (error) {
      const problem =
        'A handler gave back a message whose record could not be removed. It will be taken for a duplicate.';
      this.logger.error(problem, error instanceof Error ? error.stack : String(error));
    }
    try {
      tell();
    } catch {
      // The channel is closed, and the message on its way to another consumer.
    }
  }

  private settledBy(verb: SettlingVerb, args: readonly unknown[]): RmqMessage[] {
    if (SETTLES_ALL.has(verb)) return [...this.unsettled];
    const message = args[0] as RmqMessage;
    if (!SETTLES_OLDER.has(verb) || args[1] !== true) return [message];
    const last = message.fields.deliveryTag;
    return [...this.unsettled, message].filter(({ fields }) => fields.deliveryTag <= last);
  }
}
