import type { IdempotentCall } from './call.js';
import { sha256 } from './record-id.js';

/** A digest that tells callers apart if their principal is not known. */
export type CredentialDigest = (
  call: Pick<IdempotentCall, 'request' | 'connection'> & Partial<Pick<IdempotentCall, 'principal'>>,
) => string | undefined;

/** Every request may carry these. */
const ALWAYS = ['authorization', 'cookie'] as const;

/** Where names of headers stand; none is empty. */
const CONNECTION = '';

/**
 * Tells anonymous callers apart: a digest of all credentials in a request, or `undefined` if the
 * principal is known or there are none. One credential of several is not enough: a service's token
 * in `Authorization` says nothing about the user whose session is in `Cookie`.
 *
 * @param headers the names of headers that hold credentials, beside `Authorization` and `Cookie`
 */
export function credentialDigests(headers: readonly string[]): CredentialDigest {
  const names = [...new Set([...ALWAYS, ...headers.map((name) => name.toLowerCase())])].sort();
  return ({ principal, request, connection }) => {
    if (principal !== undefined) return undefined;
    // The kind counts: the same text as a token and as a cookie is not the same caller.
    let found: [string, string | string[]][] | undefined;
    for (const name of names) {
      const value = request.headers[name] ?? connection?.headers?.[name];
      if (value !== undefined && value.length > 0) (found ??= []).push([name, value]);
    }
    const presented = connection?.credentials;
    if (presented !== undefined) (found ??= []).push([CONNECTION, presented]);
    // A client that presents nothing is known by its connection alone.
    const id = connection?.id;
    if (found === undefined && id !== undefined) found = [[CONNECTION, ['id', id]]];
    return found && sha256(JSON.stringify(found));
  };
}

/** For applications that name no other headers. */
export const defaultCredentials = credentialDigests([]);
