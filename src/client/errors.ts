/** There was no answer that counts: the intent is open, and its key is kept. */
export class IdempotentFetchError extends Error {
  /**
   * @param attempts how many requests were sent
   * @param response the last answer, where there was one: a refusal that says to try again
   */
  constructor(
    message: string,
    readonly attempts: number,
    readonly response: Response | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'IdempotentFetchError';
  }
}
