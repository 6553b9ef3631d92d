import type { Clock } from './clock.js';

/** Longer than any drain. In milliseconds. */
const LONG_MS = 2 ** 31 - 1;

/** What goes on after its call was answered, and the wait for the end of everything at shutdown. */
export class BackgroundWork {
  private readonly work = new Set<Promise<void>>();
  private readonly whenIdle = new Set<() => void>();

  /**
   * @param calls those that own a record, or ask for one
   * @param rest called whenever everything may have ended
   */
  constructor(
    private readonly clock: Clock,
    private readonly calls: { readonly size: number },
    private readonly rest?: () => void,
  ) {}

  get isIdle(): boolean {
    return this.left === 0;
  }

  private get left(): number {
    return this.calls.size + this.work.size;
  }

  add(work: Promise<void>): void {
    this.work.add(work);
    void work.finally(() => {
      this.work.delete(work);
      this.lookWhetherIdle();
    });
  }

  /** An operation that has ended may continue in the background. By now it is counted there. */
  lookWhetherIdle(): void {
    if (this.whenIdle.size === 0 && this.rest === undefined) return;
    queueMicrotask(() => {
      if (!this.isIdle) return;
      this.rest?.();
      for (const end of this.whenIdle) end();
    });
  }

  /**
   * Waits for the end of all calls and all work, or until the time is over. Keeps the process alive for
   * that long.
   *
   * @returns how many are left
   */
  async drain(timeoutMs: number): Promise<number> {
    if (this.isIdle) return 0;
    // The engine's timers do not keep the process alive, and the last client may have disconnected.
    const keepsProcess = setInterval(() => undefined, LONG_MS);
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        this.whenIdle.delete(end);
        resolve();
      };
      const cancel = this.clock.after(timeoutMs, end);
      this.whenIdle.add(end);
    });
    clearInterval(keepsProcess);
    return this.left;
  }
}
