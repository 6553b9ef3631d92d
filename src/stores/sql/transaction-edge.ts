import type { SecondConnection } from '../../engine/transaction.js';

/** What is known about the transaction whose edge this is. */
interface EdgeOptions {
  /** What happens to work that would leave it. */
  readonly policy: SecondConnection;
  /** What messages call the operation. */
  readonly scope: string;
  /** How long its work may wait for a second connection, in milliseconds. */
  readonly connectWithinMs: number;
  readonly warn: (scope: string, warning: string) => void;
  /** What to write with instead, as a sentence or two. */
  readonly remedy: string;
  /** True if the transaction has the only connection. */
  readonly isPoolOfOne: () => boolean;
}

const IF_MEANT =
  "If this is intended, put it into outsideTransaction(), or set secondConnection: 'allow'.";

/** How long work waits for a second connection if nobody says so, in milliseconds. */
export const CONNECT_WITHIN_MS = 2_000;

const MOST_WARNINGS = 1_000;

/** Warns once per handler. */
export class Warnings {
  private readonly scopes = new Set<string>();

  constructor(private readonly warn: (warning: string) => void) {}

  readonly once = (scope: string, warning: string): void => {
    if (this.scopes.has(scope)) return;
    // Limited, because the scopes of `run()` may be made up.
    if (this.scopes.size < MOST_WARNINGS) this.scopes.add(scope);
    this.warn(warning);
  };
}

/** Code in a transaction asked for a connection that it may not have, or did not get. */
export class SecondConnectionError extends Error {
  override readonly name = 'SecondConnectionError';
}

/**
 * The edge of one transaction. It notices work that uses the same database beside the transaction: that
 * work is not undone with it, does not see it, and needs another connection of the pool while the
 * transaction holds one.
 */
export class TransactionEdge {
  isOpen = true;
  /** True once work has left the transaction, whether that was meant or not. */
  isCrossed = false;

  constructor(readonly options: EdgeOptions) {}

  /**
   * Takes a connection beside the transaction, if that may be.
   *
   * @param giveBack called with a connection that comes too late
   * @param isTaken whether there is nothing to wait for
   * @throws if it may not be, or if the pool has none in time
   */
  async cross<C>(
    take: () => PromiseLike<C>,
    giveBack: (connection: C) => unknown,
    isTaken = false,
  ): Promise<C> {
    if (!this.isOpen) return take();
    const { scope, policy, warn, connectWithinMs, isPoolOfOne } = this.options;
    if (policy === 'refuse') throw this.refused();
    this.isCrossed = true;
    if (policy !== 'allow') {
      warn(
        scope,
        `${scope} uses a second connection beside its transaction: what it writes there stays when ` +
          'the operation is undone, and what it reads there does not contain what the operation ' +
          `has written. ${this.options.remedy} ${IF_MEANT} Logged once per handler.`,
      );
    }
    if (isTaken) return take();
    if (isPoolOfOne()) throw waitsForItself(this.options.remedy);
    return within(take, giveBack, connectWithinMs, () => this.notInTime());
  }

  private refused(): Error {
    return new SecondConnectionError(
      `${this.options.scope} asked for a second connection beside its transaction, and ` +
        `secondConnection is 'refuse'. ${this.options.remedy}`,
    );
  }

  private notInTime(): Error {
    const { scope, connectWithinMs, remedy } = this.options;
    return new SecondConnectionError(
      `${scope} asked for a second connection while its transaction holds one, and the pool had ` +
        `none within ${connectWithinMs} ms. If every operation needs two, a pool can be used up ` +
        `by operations that wait for each other. ${remedy} Or use a larger pool.`,
    );
  }
}

export function waitsForItself(remedy: string): Error {
  return new SecondConnectionError(
    'This code runs in the transaction of an idempotent operation, which has the only ' +
      `connection of the pool, and asks for another one. It would wait for itself. ${remedy} ` +
      'Or use a pool of more than one connection.',
  );
}

/** A connection that comes too late goes back to the pool at once. */
function within<C>(
  take: () => PromiseLike<C>,
  giveBack: (connection: C) => unknown,
  withinMs: number,
  notInTime: () => Error,
): Promise<C> {
  return new Promise((resolve, reject) => {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(notInTime());
    }, withinMs);
    timer.unref();
    take().then(
      (connection) => {
        clearTimeout(timer);
        if (isLate) giveBack(connection);
        else resolve(connection);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error as Error);
      },
    );
  });
}
