import type { Identifier } from './call.js';
import { compositeKey, keyPart } from './key-part.js';
import { InvalidKeyError } from './key-source.js';

/** A key that code gives by itself: one value, or the parts of a composite key. */
export type DirectKey = Identifier | readonly Identifier[];

/**
 * The same text that a handler's key source makes of the same parts.
 *
 * @throws {@link InvalidKeyError} when it, or a part of it, cannot be a key
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
