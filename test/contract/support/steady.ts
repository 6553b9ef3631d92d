import type { ContractCase, StoreHarness } from 'nestjs-idempotency/testing';
import { isPromise } from 'node:util/types';

/** With ticks that are twice as long each time: the last ones are 16 times as long. */
const RUNS = 5;
/** It takes as long as the store has nothing to tell. */
const WAITS = new Set(['watch']);

/**
 * Runs a case, and runs it again with longer ticks when it fails although it let time pass on a machine
 * that stood still: the lease it looked at may have run out by then. A store that breaks its promise
 * fails each time, and a case that looks at no time is run once.
 */
export async function runSteadily(one: ContractCase, given: StoreHarness): Promise<void> {
  for (let run = 1; ; run += 1) {
    const steadiness = new Steadiness({ ...given, tickMs: given.tickMs * 2 ** (run - 1) });
    try {
      await one.run(steadiness.harness);
      return;
    } catch (error) {
      if (run === RUNS || !steadiness.isLost) throw error;
    }
  }
}

/** Measures what a case waits for: a call of the store may take half a tick, and so may a sleep beyond its time. */
class Steadiness {
  readonly harness: StoreHarness;
  private letTimePass = false;
  private stoodStill = false;
  private readonly allowedMs: number;

  constructor(given: StoreHarness) {
    this.allowedMs = given.tickMs / 2;
    this.harness = {
      ...given,
      store: this.measured(given.store),
      other: this.measured(given.other),
      elapse: (ms) => {
        this.letTimePass = true;
        return this.measure(() => given.elapse(ms), ms);
      },
    };
  }

  get isLost(): boolean {
    return this.letTimePass && this.stoodStill;
  }

  private measured<T extends object>(store: T): T {
    return new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function' || WAITS.has(String(name))) return value;
        return (...args: unknown[]): unknown =>
          this.measure(() => (value as (...given: unknown[]) => unknown).apply(target, args));
      },
    });
  }

  private measure<T>(work: () => T, expectedMs = 0): T {
    const begun = performance.now();
    const note = (): void => {
      this.stoodStill ||= performance.now() - begun > expectedMs + this.allowedMs;
    };
    const result = work();
    if (isPromise(result)) result.then(note, note);
    else note();
    return result;
  }
}
