import type { CancelTimer, Clock } from '../engine/clock.js';

/**
 * What happens to one call of a store. `ask` passes the call to the real store, which executes it
 * at once.
 */
export type Fault = (ask: () => Promise<unknown>) => Promise<unknown>;

/** The call succeeds. Use it to let some calls pass before one fails. */
export const pass: Fault = (ask) => ask();

/** The store is not reached; nothing was written. */
export function failBefore(error: Error = new Error('injected: the store was not reached')): Fault {
  return () => Promise.reject(error);
}

/** Like {@link failBefore}, but thrown at once, as by stores that answer without a promise. */
export function throwBefore(error: Error = new Error('injected: the store threw')): Fault {
  return () => {
    throw error;
  };
}

/** The store executed the call, but its answer is lost. */
export function failAfter(error: Error = new Error('injected: the answer was lost')): Fault {
  return async (ask) => {
    await ask();
    throw error;
  };
}

/** The store is not reached, and no answer ever comes. */
export function hang(): Fault {
  return () => new Promise(() => {});
}

/** The store executed the call, but its answer never comes. */
export function hangAfter(): Fault {
  return async (ask) => {
    await ask();
    return new Promise(() => {});
  };
}

/** The store is reached only when the gate opens. */
export function delayUntil(gate: Gate): Fault {
  return async (ask) => {
    await gate.pass();
    return ask();
  };
}

/** The store executes the call at once; its answer comes when the gate opens. */
export function answerLate(gate: Gate): Fault {
  return async (ask) => {
    const answer = await ask();
    await gate.pass();
    return answer;
  };
}

/**
 * Blocks calls until the test opens it. Then it stays open.
 *
 * @example
 * const gate = new Gate();
 * store.next('complete', delayUntil(gate));
 * await gate.reached();
 * gate.open();
 */
export class Gate {
  private isOpen = false;
  private readonly opened: Promise<void>;
  private letThrough!: () => void;
  private arrivals = 0;
  private arrivalWaiters: { readonly count: number; readonly resolve: () => void }[] = [];

  constructor() {
    this.opened = new Promise((resolve) => {
      this.letThrough = resolve;
    });
  }

  open(): void {
    this.isOpen = true;
    this.letThrough();
  }

  /** Opens the gate some time from now, in milliseconds. */
  openAfter(clock: Clock, delayMs: number): CancelTimer {
    return clock.after(delayMs, () => this.open());
  }

  /** Resolves when this many calls have reached the gate. */
  reached(count = 1): Promise<void> {
    if (this.arrivals >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.arrivalWaiters.push({ count, resolve });
    });
  }

  /** Resolves when the gate is open. Call it in the code that should wait. */
  async pass(): Promise<void> {
    this.arrivals += 1;
    for (const { count, resolve } of this.arrivalWaiters) {
      if (this.arrivals >= count) resolve();
    }
    if (!this.isOpen) await this.opened;
  }
}
