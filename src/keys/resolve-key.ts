import { type Awaitable, isPending } from '../engine/awaitable.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import type { IdempotentCall } from './call.js';
import { checkedHeaderName } from './header-source.js';
import { compositeKey, keyPart } from './key-part.js';
import { keySource } from './key-sources.js';
import type {
  KeyContext,
  KeyDeclaration,
  KeyFunction,
  KeySource,
  ResolvedKey,
} from './key-source.js';

export type { ResolvedKey };

/**
 * Makes of a declaration what the request path reads. Called once at boot.
 *
 * @throws {@link IdempotencyConfigurationError} when the declaration, or the module's header
 *   name, is none
 */
export function resolveKey(declaration: KeyDeclaration, context: KeyContext): ResolvedKey {
  checkedHeaderName(context.headerName, 'header');
  if (!Array.isArray(declaration)) {
    const source = resolveSource(declaration as KeySource | KeyFunction, context);
    const { description, readsOnlyHead, coversContent } = source;
    return {
      description,
      sources: [source],
      readsOnlyHead,
      coversContent,
      read: (call) => readPart(source, call),
    };
  }
  if (declaration.length === 0) throw notAKey(declaration);
  const sources = (declaration as readonly (KeySource | KeyFunction)[]).map((part) =>
    resolveSource(part, context),
  );
  return {
    description: sources.map((source) => source.description).join(' + '),
    sources,
    readsOnlyHead: sources.every((source) => source.readsOnlyHead),
    coversContent: sources.some((source) => source.coversContent),
    read: (call) => readParts(sources, call),
  };
}

function resolveSource(part: unknown, context: KeyContext): KeySource {
  if (typeof part === 'function') {
    const name = part.name === '' || part.name === 'key' ? '' : ` ${part.name}`;
    return keySource(`function${name}`, part as KeyFunction);
  }
  if (!isKeySource(part)) throw notAKey(part);
  if (part.resolve === undefined) return part;
  const resolved: unknown = part.resolve(context);
  if (!isKeySource(resolved)) throw notAKey(resolved);
  return resolved;
}

function isKeySource(part: unknown): part is KeySource {
  if (typeof part !== 'object' || part === null) return false;
  const { description, read } = part as Partial<KeySource>;
  return typeof description === 'string' && typeof read === 'function';
}

function readPart(source: KeySource, call: IdempotentCall): Awaitable<string | undefined> {
  const value = source.read(call);
  // Sources of applications are held to the same rules as those of this library.
  return isPending(value)
    ? Promise.resolve(value).then((later) => keyPart(later, source.description))
    : keyPart(value, source.description);
}

function readParts(
  sources: readonly KeySource[],
  call: IdempotentCall,
): Awaitable<string | undefined> {
  const parts: string[] = [];
  for (const source of sources) {
    const part = readPart(source, call);
    if (isPending(part)) return readRest(sources, call, parts, part);
    if (part === undefined) return undefined;
    parts.push(part);
  }
  return compositeKey(parts);
}

async function readRest(
  sources: readonly KeySource[],
  call: IdempotentCall,
  parts: string[],
  pending: PromiseLike<string | undefined>,
): Promise<string | undefined> {
  let part = await pending;
  for (;;) {
    if (part === undefined) return undefined;
    parts.push(part);
    const next = sources[parts.length];
    if (next === undefined) return compositeKey(parts);
    part = await readPart(next, call);
  }
}

function notAKey(given: unknown): IdempotencyConfigurationError {
  return new IdempotencyConfigurationError({
    option: 'key',
    given,
    accepted:
      'header(), body(), param(), query(), payload(), messageId(), arg(), tick(), principal(), signature(), keySource(), a function of the call, or a list of at least one of them',
    remedy: "Give where the key is found, such as body('orderNo') instead of 'orderNo'.",
  });
}
