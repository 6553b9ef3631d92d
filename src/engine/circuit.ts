import { attempt, type Awaitable, chain, Failure } from './awaitable.js';
import type { CancelTimer, Clock } from './clock.js';

/** When calls stop asking a store that fails. */
export interface CircuitOptions {
  /** After so many failed claims in a row, each of another record. */
  readonly failures: number;
  /** How long to wait between two probes, in milliseconds. */
  readonly pauseMs: number;
}

/** The store, or one part of it, has begun or ceased to refuse calls. */
export interface CircuitChange {
  /** `open`: calls are refused at once. `closed`: the store answers again. */
  readonly state: 'open' | 'closed';
  /** Which part of a store that is made of several, such as `shard 2 of 3`. */
  readonly part: string | undefined;
  /** Why the last claim failed; absent when it is closed. */
  readonly cause?: unknown;
}

/** What a circuit needs to know of its store. */
export interface CircuitSubject {
  readonly part: string | undefined;
  /** True once nobody needs to know any more. */
  isOver(): boolean;
  /** Reads from the store. */
  probe(): Awaitable<unknown>;
  changed(change: CircuitChange): void;
}

/**
 * Keeps calls away from a store that fails, so that each is refused at once and nothing queues up for
 * it. A read of its own asks every now and then whether the store answers. If it does, one call is let
 * through, because a store may answer reads and still not take writes. If that succeeds, all are.
 */
export class Circuit {
  /**
   * Records whose claims have failed since one last succeeded, at most as many as open the circuit. One
   * record that cannot be claimed, however often it is tried, says nothing about the others.
   */
  private readonly failing = new Set<string>();
  private state: 'closed' | 'open' | 'half-open' = 'closed';
  private isTrying = false;
  private cancelProbe: CancelTimer | undefined;

  constructor(
    private readonly options: CircuitOptions,
    private readonly clock: Clock,
    private readonly subject: CircuitSubject,
  ) {}

  /** True if a call may ask the store. It must report how that went. */
  admits(): boolean {
    if (this.state === 'closed') return true;
    if (this.state === 'open' || this.isTrying) return false;
    this.isTrying = true;
    return true;
  }

  succeeded(): void {
    if (this.failing.size > 0) this.failing.clear();
    if (this.state === 'closed') return;
    this.state = 'closed';
    this.isTrying = false;
    this.cancelProbe?.();
    this.subject.changed({ state: 'closed', part: this.subject.part });
  }

  /** @param id of the record that could not be claimed */
  failed(id: string, cause: unknown): void {
    const { failing, options } = this;
    if (failing.size < options.failures) failing.add(id);
    // Calls that began before the circuit was opened may still fail.
    if (this.state === 'open' || failing.size < options.failures) return;
    const isNews = this.state === 'closed';
    this.state = 'open';
    this.isTrying = false;
    if (isNews) this.subject.changed({ state: 'open', part: this.subject.part, cause });
    this.probeLater();
  }

  private probeLater(): void {
    const cancel = this.clock.after(this.options.pauseMs, () => {
      if (this.subject.isOver()) return;
      void chain(
        attempt(() => this.subject.probe()),
        (answer) => {
          // A claim from before may have closed the circuit, and others may have opened it again.
          if (this.state !== 'open' || this.cancelProbe !== cancel) return;
          if (answer instanceof Failure) this.probeLater();
          else this.state = 'half-open';
        },
      );
    });
    this.cancelProbe = cancel;
  }
}
