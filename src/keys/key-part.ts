import type { Identifier } from './call.js';
import { InvalidKeyError } from './key-source.js';

/** Longest part of a key, in UTF-16 code units: what `String.length` counts. */
export const MAX_KEY_LENGTH = 255;

const PRINTABLE_ASCII = /^[\x20-\x7e]+$/;
/** C0, DEL, C1 and lone surrogates. */
// oxlint-disable-next-line no-control-regex -- finding them is the purpose
const UNUSABLE = /[\x00-\x1f\x7f-\x9f]|\p{Surrogate}/u;

/** U+001F, the unit separator: a control character, so that no part can contain it. */
const END_OF_PART = '\x1f';

/**
 * A value as part of a key. Text is used as it is; numbers, bigints and booleans as they are
 * written, so `1` and `'1'` are the same part. `null` and `undefined` mean that the part is
 * missing.
 *
 * @param source its name in the error
 * @throws {@link InvalidKeyError} for everything else
 */
export function keyPart(value: unknown, source: string): string | undefined {
  if (typeof value === 'string') return checkedPart(value, source);
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'bigint') return checkedPart(String(value), source);
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number') throw invalid(source, 'is neither a string nor a number');
  if (!Number.isFinite(value)) throw invalid(source, 'is not a finite number');
  return String(value);
}

/** @throws {@link InvalidKeyError} unless it is 1 to 255 characters without control characters */
export function checkedPart(text: string, source: string): string {
  if (text.length === 0) throw invalid(source, 'is empty');
  if (text.length > MAX_KEY_LENGTH) {
    throw invalid(source, `is longer than ${MAX_KEY_LENGTH} characters`);
  }
  if (!PRINTABLE_ASCII.test(text) && UNUSABLE.test(text)) {
    throw invalid(source, 'contains control characters or lone surrogates');
  }
  return text;
}

/**
 * Joins the parts of a composite key so that no other list of parts, and no plain key, gives the
 * same text. Operators use it to look up a record by its parts.
 */
export function compositeKey(parts: readonly string[]): string {
  let key = '';
  for (const part of parts) key += part + END_OF_PART;
  return key;
}

function invalid(source: string, why: string): InvalidKeyError {
  return new InvalidKeyError(`The idempotency key from ${source} ${why}.`);
}

/** A key that code passes directly: one value, or the parts of a composite key. */
export type DirectKey = Identifier | readonly Identifier[];

/**
 * The same text that a handler's key source makes from the same parts.
 *
 * @throws {@link InvalidKeyError} if it, or a part of it, cannot be a key
 */
export function directKey(key: DirectKey): string {
  if (!Array.isArray(key)) return required(keyPart(key, 'code'));
  if (key.length === 0) throw new InvalidKeyError('The idempotency key from code has no parts.');
  return compositeKey(key.map((part: unknown) => required(keyPart(part, 'code'))));
}

function required(part: string | undefined): string {
  if (part === undefined) throw new InvalidKeyError('The idempotency key from code is missing.');
  return part;
}
