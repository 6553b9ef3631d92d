import { hash } from 'node:crypto';

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * The id of a record: a SHA-256 of scope, principal and key in hexadecimal, the only form of a key
 * that a store sees. Changing the framing would orphan every stored record.
 */
export function recordId(scope: string, principal: string | undefined, key: string): string {
  // The lengths say where each part ends; an anonymous caller has none, '' has 0.
  const framed = `${scope.length},${principal === undefined ? '' : principal.length},${scope}${principal ?? ''}${key}`;
  // UTF-8 has the same replacement for all lone surrogates, but JSON escapes them. Its quote cannot
  // be mistaken for the digit that the other form begins with.
  return sha256(LONE_SURROGATE.test(framed) ? JSON.stringify(framed) : framed);
}

/** SHA-256 in hexadecimal; text counts as UTF-8. Lone surrogates must have been escaped. */
export function sha256(content: string | ArrayBufferView): string {
  return hash('sha256', content as string | NodeJS.ArrayBufferView);
}
