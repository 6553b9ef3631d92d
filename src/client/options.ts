/** What keeps keys while their intents are open; `sessionStorage` and `localStorage` are such. */
export interface IntentStorage {
  getItem(name: string): string | null;
  setItem(name: string, value: string): void;
  removeItem(name: string): void;
}

/** Options of `createIdempotentFetch()`. Durations are milliseconds, greater than zero. */
export interface IdempotentFetchOptions {
  /** The request header that carries the key. @default 'Idempotency-Key' */
  readonly header?: string;
  /**
   * Keeps the keys of named intents. With `localStorage` all tabs share them; in Node, keep them
   * where a restarted process finds them. @default sessionStorage, or memory where there is none
   */
  readonly storage?: IntentStorage;
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

/** @internal */
export const DEFAULTS = {
  header: 'Idempotency-Key',
  deadlineMs: 60_000,
  attemptMs: 30_000,
  baseDelayMs: 250,
  maxDelayMs: 10_000,
} as const satisfies IdempotentFetchOptions;

/** The complete options. @internal */
export type Settings = Readonly<
  Required<Omit<IdempotentFetchOptions, 'tokenUrl' | 'purpose'>> &
    Pick<IdempotentFetchOptions, 'tokenUrl' | 'purpose'>
>;

/** @internal */
export function settingsOf(options: IdempotentFetchOptions): Settings {
  const settings = {
    ...DEFAULTS,
    storage: options.storage ?? defaultStorage(),
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

function defaultStorage(): IntentStorage {
  try {
    // Node has a `sessionStorage` of its own from version 25 on; it ends with the process.
    if (typeof document === 'object') return sessionStorage;
  } catch {
    // The browser keeps storage from this page.
  }
  return new MemoryStorage();
}

class MemoryStorage implements IntentStorage {
  private readonly values = new Map<string, string>();

  getItem(name: string): string | null {
    return this.values.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.values.set(name, value);
  }

  removeItem(name: string): void {
    this.values.delete(name);
  }
}
