import { type IntentStorage, MemoryStorage, PAGE_STORAGE } from './intents.js';

/** Options of `createIdempotentFetch()`. Durations are milliseconds, greater than zero. */
export interface IdempotentFetchOptions {
  /** The request header that carries the key. @default 'Idempotency-Key' */
  readonly header?: string;
  /**
   * Keeps the keys of named intents. With `localStorage` all tabs share them; in Node, keep them
   * where a restarted process finds them. Its methods may answer with promises. A call that one given
   * here fails to keep is not sent, and
   * rejects with its error. @default sessionStorage, and memory where there is none or it refuses
   */
  readonly storage?: IntentStorage;
  /**
   * Decides whether to retry, with the same key, after an answer that the client itself would not
   * retry. For an application's own "try later" answers. It may read the response. Absent: the
   * client decides alone.
   */
  readonly retryOn?: (response: Response) => boolean | Promise<boolean>;
  /** Called before every wait. If it throws, the call ends. @default nothing */
  readonly onRetry?: (retry: Retry) => void;
  /** Sends one request. @default the global fetch */
  readonly fetch?: typeof globalThis.fetch;
  /** How long one call may take, including all retries. @default 60_000 */
  readonly deadlineMs?: number;
  /** How long one request may take to get its whole answer. @default 30_000 */
  readonly attemptMs?: number;
  /** The longest wait before the first retry. It doubles with every further one. @default 250 */
  readonly baseDelayMs?: number;
  /** Where the waits stop growing. `Retry-After` may ask for more. @default 10_000 */
  readonly maxDelayMs?: number;
  /** Asks this route for a token as the key of each intent. @default none: keys are made here */
  readonly tokenUrl?: string;
  /** What the tokens are for. @default none */
  readonly purpose?: string;
}

/** A request is about to be sent again. */
export interface Retry {
  /** How many requests were sent. */
  readonly attempts: number;
  /** How long the client waits, in milliseconds. */
  readonly delayMs: number;
  /** The answer that is being retried; absent if there was none. */
  readonly response: Response | undefined;
  /** Why there was no answer. */
  readonly error: unknown;
}

/** What an application decides about retries. @internal */
type Hooks = Pick<IdempotentFetchOptions, 'tokenUrl' | 'purpose' | 'retryOn' | 'onRetry'>;

/** @internal */
export const DEFAULTS = {
  header: 'Idempotency-Key',
  deadlineMs: 60_000,
  attemptMs: 30_000,
  baseDelayMs: 250,
  maxDelayMs: 10_000,
} as const satisfies IdempotentFetchOptions;

/** The complete options. @internal */
export type Settings = Readonly<Required<Omit<IdempotentFetchOptions, keyof Hooks>> & Hooks>;

/** @internal */
export function settingsOf(options: IdempotentFetchOptions): Settings {
  const settings = {
    ...DEFAULTS,
    // From version 25 on, Node has its own `sessionStorage`, which ends with the process.
    storage: typeof document === 'object' ? PAGE_STORAGE : new MemoryStorage(),
    ...given(options),
    // Not called as a method of these settings, because browsers refuse that for their own `fetch`.
    fetch: (input, init) => (options.fetch ?? globalThis.fetch)(input, init),
  } satisfies Settings;
  for (const name of ['deadlineMs', 'attemptMs', 'baseDelayMs', 'maxDelayMs'] as const)
    if (!(settings[name] > 0))
      throw new TypeError(
        `${name}: ${String(settings[name])} is not a number greater than 0. Leave it out to use ${DEFAULTS[name]} milliseconds.`,
      );
  return settings;
}

/** Drops members that are `undefined`, which would hide the defaults. */
function given(options: IdempotentFetchOptions): IdempotentFetchOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** There was no final answer. The intent stays open, and its key is kept. */
export class IdempotentFetchError extends Error {
  /**
   * @param attempts how many requests were sent
   * @param response the last answer, if there was one: a refusal that says to try again
   */
  constructor(
    message: string,
    readonly attempts: number,
    readonly response: Response | undefined,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'IdempotentFetchError';
  }
}
