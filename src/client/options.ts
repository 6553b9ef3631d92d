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
   * Whether an answer is to be asked for again, with the same key, where the client would not: for an
   * application's own "later". The response may be read. Absent: the client alone decides.
   */
  readonly retryOn?: (response: Response) => boolean | Promise<boolean>;
  /** Called before every wait. What it throws ends the call. @default nothing */
  readonly onRetry?: (retry: Retry) => void;
  /** Sends one request. @default the global fetch */
  readonly fetch?: typeof globalThis.fetch;
  /** How long one call may take with all of its retries. @default 60_000 */
  readonly deadlineMs?: number;
  /** How long one request may take until its whole answer is there. @default 30_000 */
  readonly attemptMs?: number;
  /** The longest wait before the first retry; it doubles with every further one. @default 250 */
  readonly baseDelayMs?: number;
  /** Where the waits stop growing. `Retry-After` may ask for more. @default 10_000 */
  readonly maxDelayMs?: number;
  /** Asks this route for a token as the key of each intent. @default none: keys are made here */
  readonly tokenUrl?: string;
  /** What the tokens are for. @default none */
  readonly purpose?: string;
}

/** That a request is about to be sent again. */
export interface Retry {
  /** How many requests were sent. */
  readonly attempts: number;
  /** How long the client waits, in milliseconds. */
  readonly delayMs: number;
  /** The answer that was not the last one; absent when there was none. */
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
    // Node has a `sessionStorage` of its own from version 25 on; it ends with the process.
    storage: typeof document === 'object' ? PAGE_STORAGE : new MemoryStorage(),
    ...given(options),
    // Not as a method of these settings: browsers refuse that for their own.
    fetch: (input, init) => (options.fetch ?? globalThis.fetch)(input, init),
  } satisfies Settings;
  for (const name of ['deadlineMs', 'attemptMs', 'baseDelayMs', 'maxDelayMs'] as const)
    if (!(settings[name] > 0))
      throw new TypeError(
        `${name}: ${String(settings[name])} was given, and a number greater than 0 is accepted. Leave it out for ${DEFAULTS[name]} milliseconds.`,
      );
  return settings;
}

/** Without members that are there and `undefined`, which would hide the defaults. */
function given(options: IdempotentFetchOptions): IdempotentFetchOptions {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** There was no answer that counts: the intent is open, and its key is kept. */
export class IdempotentFetchError extends Error {
  /**
   * @param attempts how many requests were sent
   * @param response the last answer, where there was one: a refusal that says to try again
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
