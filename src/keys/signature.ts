import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { DottedBodyPath } from './body-path.js';
import { bodySelection } from './body-selection.js';
import type { KeySource } from './key-source.js';
import { contentLines } from './request-content.js';
import { sha256 } from './sha256.js';

/** What of the body makes the key. Names of members, joined with dots: `'author.name'`. */
export interface SignatureOptions<T = unknown> {
  /** These members only. Absent: all of them. */
  readonly include?: readonly DottedBodyPath<T>[];
  /** All but these members. Absent: none is left out. */
  readonly exclude?: readonly DottedBodyPath<T>[];
}

/**
 * The request's own content as key: parameters, query, body and files, and the caller's
 * credentials where the principal is not known. Two requests that say the same are one
 * operation, so give it a short `ttl`. The order of members does not matter.
 *
 * Query and parameters always count. A name that leads through a list means that member of
 * each of its elements. A body that is no object or list of objects counts whole.
 *
 * @example
 * signature<CommentDto>({ exclude: ['sentAt'] })
 *
 * @throws {@link IdempotencyConfigurationError} when the options are wrong
 */
export function signature<T = unknown>(options: SignatureOptions<T> = {}): KeySource {
  const wrong = Object.keys(options).find((name) => name !== 'include' && name !== 'exclude');
  if (wrong !== undefined) {
    throw new IdempotencyConfigurationError({
      option: `key: signature.${wrong}`,
      given: (options as Readonly<Record<string, unknown>>)[wrong],
      accepted: 'the options include and exclude',
      remedy: 'Remove the option, or correct its name.',
    });
  }
  const select = bodySelection(options);
  return {
    description: 'signature of the content',
    readsOnlyHead: false,
    coversContent: true,
    isNeverMissing: true,
    isNeverInvalid: true,
    read: (call) => sha256(contentLines(call, select)),
  };
}
