import type { IncomingRequest } from '../../keys/call.js';
import type { EnteredCall } from '../operations.js';

/** There is no request: sources that read one find nothing. */
const NO_REQUEST: IncomingRequest = Object.freeze({ headers: Object.freeze({}) });

/** A call of a method of a provider, wherever it came from. */
export class MethodCall implements EnteredCall {
  readonly type = 'method';
  readonly request = NO_REQUEST;
  principal: string | undefined;
  key: string | undefined;

  constructor(
    public scope: string,
    readonly args: readonly unknown[],
    readonly content?: unknown,
  ) {}
}
