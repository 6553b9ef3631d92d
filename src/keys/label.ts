import { type Awaitable, chain, isPending } from '../engine/awaitable.js';
import { type Clock, systemClock } from '../engine/clock.js';
import { wrongOption } from '../engine/configuration-error.js';
import { cut, MAX_LABEL_LENGTH } from '../engine/story.js';
import type { IdempotentCall } from './call.js';
import type { KeySource } from './key-source.js';

/** What the application calls the operation, such as an order number; `undefined` for nothing. */
export type LabelFunction = (call: IdempotentCall) => Awaitable<string | number | undefined>;

/** Where the label of an operation is: a function of the call, or a source such as `body('orderNo')`. */
export type LabelDeclaration = LabelFunction | KeySource;

/** How long a call waits for its label. */
const LABEL_WITHIN_MS = 1_000;

/**
 * The function that reads the label; `undefined` if the option is not set. A label is for operators
 * only, so a call without one runs all the same. The first label that cannot be read, or that takes
 * longer than a second, is logged.
 *
 * @throws {@link IdempotencyConfigurationError} if it is neither a function nor a source
 */
export function resolveLabel(
  declaration: LabelDeclaration | undefined,
  handler: string,
  warn: (warning: string) => void,
  clock: Clock = systemClock,
): ((call: IdempotentCall) => Awaitable<string | undefined>) | undefined {
  if (declaration === undefined) return undefined;
  const read = readerOf(declaration);
  let isLogged = false;
  const failed = (cause: unknown): undefined => {
    if (!isLogged)
      warn(`The label of ${handler} could not be read (${nameOf(cause)}). Its records have none.`);
    isLogged = true;
  };
  return (call) => {
    try {
      const found = chain(read(call), labelOf);
      return isPending(found) ? inTime(found, clock).catch(failed) : found;
    } catch (cause) {
      return failed(cause);
    }
  };
}

function readerOf(declaration: LabelDeclaration): (call: IdempotentCall) => Awaitable<unknown> {
  if (typeof declaration === 'function') return declaration;
  const { read, value } = (declaration ?? {}) as Partial<KeySource>;
  if (typeof read !== 'function')
    throw wrongOption(
      'label',
      declaration,
      "a function of the call, or a source such as body('orderNo')",
      'Name what operators know the operation by. Never the key.',
    );
  return (call) => (value ?? read).call(declaration, call);
}

function inTime<T>(found: PromiseLike<T>, clock: Clock): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.after(LABEL_WITHIN_MS, () =>
      reject(new DOMException('The label took too long.', 'TimeoutError')),
    );
    void Promise.resolve(found).then(resolve, reject).finally(cancel);
  });
}

/** One short line. Anything that cannot be shown as one is no label. */
export function labelOf(found: unknown): string | undefined {
  if (typeof found !== 'string' && typeof found !== 'number' && typeof found !== 'bigint')
    return undefined;
  const text = cut(String(found).replaceAll(/\p{Cc}+/gu, ' '), MAX_LABEL_LENGTH);
  return text === '' ? undefined : text;
}

function nameOf(cause: unknown): string {
  return cause instanceof Error ? cause.name : typeof cause;
}
