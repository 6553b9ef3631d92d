import { EmittedValues } from '../../replies/reply.js';

type Acknowledge = (...args: unknown[]) => unknown;

/** What a handler passed to the callback of the client, among the values of its reply. */
interface Acknowledged {
  readonly [ARGUMENTS]: readonly unknown[];
}

const ARGUMENTS = 'nestjs-idempotency:acknowledged';

/**
 * The callback with which a client of socket.io waits for its acknowledgement, if the handler calls
 * it itself (`@Ack()`). As every reply, it leaves once it is on record.
 */
export class Acknowledgement {
  private given: readonly unknown[] | undefined;
  private isOver = false;

  private constructor(
    private readonly real: Acknowledge,
    private readonly late: () => void,
  ) {}

  /**
   * Takes the place of the callback among the arguments of the handler; `undefined` if there is none.
   *
   * @param late called when the handler acknowledges after its end: nothing can replay that
   */
  static in(args: unknown[], late: () => void): Acknowledgement | undefined {
    const at = args.findIndex((arg) => typeof arg === 'function');
    if (at === -1) return undefined;
    const acknowledgement = new Acknowledgement(args[at] as Acknowledge, late);
    args[at] = (...given: unknown[]): void => acknowledgement.called(given);
    return acknowledgement;
  }

  /** The reply of the handler, which has ended. */
  replyOf(values: readonly unknown[]): unknown {
    if (this.given === undefined) return EmittedValues.of(values);
    return EmittedValues.of([{ [ARGUMENTS]: this.given } satisfies Acknowledged, ...values]);
  }

  /** No acknowledgement of the handler is a part of the reply any more. */
  end(): void {
    this.isOver = true;
  }

  /** Acknowledges, if the handler did, and returns what else is sent to the client. */
  static sent(reply: unknown, acknowledgement: Acknowledgement | undefined): readonly unknown[] {
    const [first, ...others] = EmittedValues.listOf(reply);
    if (!isAcknowledged(first)) return EmittedValues.listOf(reply);
    acknowledgement?.real(...first[ARGUMENTS]);
    return others;
  }

  private called(given: readonly unknown[]): void {
    if (this.isOver) {
      this.late();
      this.real(...given);
    } else this.given ??= given;
  }
}

function isAcknowledged(value: unknown): value is Acknowledged {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, ARGUMENTS);
}
