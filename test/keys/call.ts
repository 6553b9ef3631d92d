import type { IdempotentCall, IncomingRequest } from '../../src/keys/call.js';

export const SCOPE = 'POST /payments';

/** A call with the given request, as the HTTP entry would hand it over. */
export function callOf(
  request: Partial<IncomingRequest> = {},
  rest: Partial<Omit<IdempotentCall, 'request'>> = {},
): IdempotentCall {
  return {
    type: 'http',
    scope: SCOPE,
    principal: undefined,
    ...rest,
    request: { method: 'POST', url: '/payments', headers: {}, params: {}, query: {}, ...request },
  };
}

/** The call of a request with one header, sent on one line. */
export function callWithHeader(value: string, name = 'Idempotency-Key'): IdempotentCall {
  return callOf({ headers: { [name.toLowerCase()]: value }, rawHeaders: [name, value] });
}
