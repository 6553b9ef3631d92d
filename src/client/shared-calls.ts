/** Makes concurrent calls of one intent share one request. @internal */
export class SharedCalls {
  private readonly running = new Map<string, SharedCall>();

  /**
   * @param id of everything that the request says
   * @param signal this caller's signal. The work is aborted only when all its callers have
   *   aborted
   * @returns a separate response for this caller
   */
  async join(
    id: string,
    signal: AbortSignal,
    start: (signal: AbortSignal) => Promise<Response>,
  ): Promise<Response> {
    const known = this.running.get(id);
    const call = known ?? new SharedCall(start);
    if (known === undefined) this.running.set(id, call);
    try {
      return await call.wait(signal);
    } finally {
      // A call after the answer, or after all callers have left, starts again.
      if (call.isOver && this.running.get(id) === call) this.running.delete(id);
    }
  }
}

class SharedCall {
  isOver = false;
  private waiting = 0;
  private readonly left = new AbortController();
  private readonly response: Promise<Response>;

  constructor(start: (signal: AbortSignal) => Promise<Response>) {
    this.response = start(this.left.signal).finally(() => (this.isOver = true));
  }

  async wait(signal: AbortSignal): Promise<Response> {
    this.waiting++;
    const gone = new Promise<never>((_, reject) => {
      const leave = (): void => reject(signal.reason as Error);
      if (signal.aborted) leave();
      else signal.addEventListener('abort', leave, { once: true });
    });
    try {
      return (await Promise.race([this.response, gone])).clone();
    } catch (error) {
      if (this.waiting === 1 && !this.isOver) {
        this.isOver = true;
        this.left.abort(signal.reason);
      }
      throw error;
    } finally {
      this.waiting--;
    }
  }
}
