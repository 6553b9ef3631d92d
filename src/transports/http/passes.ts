/** One pass through the pipeline behind the interceptor. */
export interface Pass {
  error: { readonly thrown: unknown } | undefined;
  hasResult: boolean;
  isDone: boolean;
  /** It was unsubscribed before there was a result. */
  isLeft: boolean;
}

/** The passes of one call: interceptors around the protection may try again, hedge or give up. */
export class Passes {
  private readonly all: Pass[] = [];

  /** @returns the pass, and whether it is the first one */
  begin(): [pass: Pass, isFirst: boolean] {
    const pass: Pass = { error: undefined, hasResult: false, isDone: false, isLeft: false };
    return [pass, this.all.push(pass) === 1];
  }

  get areDone(): boolean {
    return this.all.every(({ isDone }) => isDone);
  }

  /**
   * The pipeline's error, if no pass had a result, or may still have one by sending the reply
   * itself. A later pass may change that.
   */
  get error(): Pass['error'] {
    const isGood = this.all.some(
      ({ hasResult, isDone, error }) => error === undefined && (hasResult || !isDone),
    );
    return isGood ? undefined : this.all.findLast(({ error }) => error !== undefined)?.error;
  }

  /** Some passes were unsubscribed, and none ended as the handler did. */
  areUnheard(failure: { readonly error: unknown } | undefined): boolean {
    return (
      this.all.some(({ isLeft }) => isLeft) &&
      this.all.every(
        ({ isLeft, error }) => isLeft || (error !== undefined && error.thrown !== failure?.error),
      )
    );
  }
}
