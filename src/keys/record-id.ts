import { sha256 } from './sha256.js';

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Names a record: a SHA-256 of scope, principal and key in hexadecimal, the only form of a key
 * that a store sees. Changing the framing would orphan every stored record.
 */
export function recordId(scope: string, principal: string | undefined, key: string): string {
  // The lengths say where each part ends; an anonymous caller has none, '' has 0.
  const framed = `${scope.length},${principal === undefined ? '' : principal.length},${scope}${principal ?? ''}${key}`;
  // UTF-8 has one replacement for all lone surrogates; JSON escapes them. Its quote cannot be
  // taken for the digit that the other form begins with.
  return sha256(LONE_SURROGATE.test(framed) ? JSON.stringify(framed) : framed);
}
