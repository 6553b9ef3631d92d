import { type Awaitable, chain } from '../engine/awaitable.js';
import { wrongOption } from '../engine/configuration-error.js';
import type { IdempotentCall } from './call.js';
import type { KeySource, ResolvedKey } from './key-source.js';
import { FingerprintUnavailableError } from './request-body.js';

/** Returns what a retry must repeat: text, or any JSON-like value. */
export type ContentFunction = (call: IdempotentCall) => Awaitable<unknown>;

/** Where the content of a call is: a function, a source, or a list of them. */
export type ContentDeclaration =
  ContentFunction | KeySource | readonly (ContentFunction | KeySource)[];

/**
 * The function that reads the content; `undefined` if the option is not set.
 *
 * @throws {@link IdempotencyConfigurationError} if it is neither a function nor a source
 */
export function resolveContent(
  declaration: ContentDeclaration | undefined,
): ContentFunction | undefined {
  if (declaration === undefined) return undefined;
  if (!Array.isArray(declaration)) return partOf(declaration as ContentFunction | KeySource);
  if (declaration.length === 0) throw notContent(declaration);
  const parts = (declaration as readonly (ContentFunction | KeySource)[]).map(partOf);
  return async (call) => {
    const found: unknown[] = [];
    for (const part of parts) found.push(await part(call));
    return found;
  };
}

function partOf(part: ContentFunction | KeySource): ContentFunction {
  if (typeof part === 'function') return (call) => chain(part(call), (found) => present(found));
  if (typeof (part as Partial<KeySource> | null)?.read !== 'function') throw notContent(part);
  return (call) =>
    chain(part.value === undefined ? part.read(call) : part.value(call), (found) =>
      present(found, part.description),
    );
}

/** What is not there would be equal for all calls. */
function present(found: unknown, description = 'the function'): unknown {
  if (found !== undefined) return found;
  throw new FingerprintUnavailableError({
    what: 'The content of the call cannot be compared with a retry',
    why: `${description} of the option content found nothing`,
    remedy: 'Name what every call has.',
  });
}

/** What the sources of a key say about the content. */
export function contentOfKey({ sources }: ResolvedKey): ContentFunction | undefined {
  const source = sources.find((one) => one.content !== undefined);
  return source && ((call) => source.content!(call) ?? call.args ?? call.request.body ?? null);
}

function notContent(given: unknown): Error {
  return wrongOption(
    'content',
    given,
    "a function of the call, a source such as arg(0, 'Body'), or a list of them",
    'Name what a retry must repeat: content: (call) => call.args[0].Body.',
  );
}
