/** What is kept about an intent. @internal */
export interface IntentRecord {
  readonly key: string;
  /** The header for the key, if a token came with one. */
  readonly header?: string;
  /** When an unused token expires, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** True while a token that this client requested has not been sent with any request. */
  readonly isUnsent?: boolean;
  /** The digest of the content with which the key was first sent; absent until then. */
  readonly digest?: string;
  /** True while a page works on it. Stays true if the page is left before the answer. */
  readonly isPending?: boolean;
  /** True after a final answer. Kept if the user can go back to the request. */
  readonly isAnswered?: boolean;
}

/** The key with which content is sent. @internal */
interface Claimed {
  readonly record: IntentRecord;
  /** True if there already was a token, and no page that shares the storage has sent it. */
  readonly wasUnsent: boolean;
}

/** Makes the key of a new intent. @internal */
type MakeKey = () => Promise<IntentRecord>;

const PREFIX = 'nestjs-idempotency:';

/** The named intents and their keys. @internal */
export class Intents {
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(private readonly storage: IntentStorage) {}

  /**
   * The key for content that is about to be sent. From now on it counts as used.
   *
   * @param held the key that a form got when it was shown. It takes precedence over what other
   *   tabs have stored since
   */
  claim(
    name: string | undefined,
    digest: string,
    make: MakeKey,
    held?: IntentRecord,
  ): Promise<Claimed> {
    const fits = (record: IntentRecord): boolean =>
      record.digest === undefined ? !hasExpired(record) : record.digest === digest;
    return this.inTurn(name, async () => {
      const stored = await this.read(name);
      const known = held === undefined ? open(stored) : stored?.key === held.key ? stored : held;
      const fitting = known !== undefined && fits(known) ? known : undefined;
      // If another intent has replaced it, nobody knows what happened to the key that a form holds.
      const wasUnsent = fitting !== undefined && fitting === stored && fitting.isUnsent === true;
      const { isUnsent: _, ...made } = fitting ?? (await make());
      const record = await this.write(name, {
        ...made,
        digest,
        isPending: true,
        isAnswered: false,
      });
      return { record, wasUnsent };
    });
  }

  /**
   * The key for a form before it has content: that of the open intent, or a new one.
   *
   * @param isBack the user came back to it. It keeps its key, even if that was answered
   * @param given the key that the page came with, which is preferred to an unused one
   */
  prepare(name: string, make: MakeKey, isBack: boolean, given?: string): Promise<IntentRecord> {
    return this.inTurn(name, async () => {
      const stored = await this.read(name);
      const known = isBack ? stored : open(stored);
      if (given !== undefined && known?.digest === undefined)
        return this.write(name, { key: given });
      return known ?? this.write(name, await make());
    });
  }

  /** Ends the work on the intent. */
  async settle(
    name: string | undefined,
    record: IntentRecord,
    outcome: 'open' | 'answered' | 'forgotten',
  ): Promise<void> {
    if (name === undefined) return;
    await this.inTurn(name, async () => {
      // Another call or tab may already have begun the next intent.
      if ((await this.read(name))?.key !== record.key) return;
      if (outcome === 'forgotten') await this.storage.removeItem(PREFIX + name);
      else
        await this.write(name, { ...record, isPending: false, isAnswered: outcome === 'answered' });
    });
  }

  /** One at a time per name: two calls at once must not ask for two tokens. */
  private async inTurn<T>(name: string | undefined, work: () => Promise<T>): Promise<T> {
    if (name === undefined) return work();
    const before = this.turns.get(name) ?? Promise.resolve();
    const turn = before.then(work, work);
    this.turns.set(name, turn);
    try {
      return await turn;
    } finally {
      if (this.turns.get(name) === turn) this.turns.delete(name);
    }
  }

  private async read(name: string | undefined): Promise<IntentRecord | undefined> {
    const text = name === undefined ? null : await this.storage.getItem(PREFIX + name);
    if (typeof text !== 'string') return undefined;
    try {
      const record = JSON.parse(text) as Partial<IntentRecord> | null;
      return typeof record?.key === 'string' ? (record as IntentRecord) : undefined;
    } catch {
      return undefined;
    }
  }

  private async write(name: string | undefined, record: IntentRecord): Promise<IntentRecord> {
    if (name !== undefined) await this.storage.setItem(PREFIX + name, JSON.stringify(record));
    return record;
  }
}

function open(record: IntentRecord | undefined): IntentRecord | undefined {
  return record?.isAnswered === true ? undefined : record;
}

function hasExpired({ expiresAt }: IntentRecord): boolean {
  return expiresAt !== undefined && expiresAt <= Date.now();
}

/**
 * Keeps keys while their intents are open: `sessionStorage`, `localStorage`, or an object whose
 * methods return promises.
 */
export interface IntentStorage {
  getItem(name: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(name: string, value: string): unknown;
  removeItem(name: string): unknown;
}

/** Keeps keys in memory. @internal */
export class MemoryStorage implements IntentStorage {
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

/**
 * The tab's `sessionStorage`, or the page's memory if that refuses: requests must still be sent if
 * it is full or switched off.
 */
class PageStorage implements IntentStorage {
  private readonly memory = new MemoryStorage();

  getItem(name: string): string | null {
    return this.memory.getItem(name) ?? orNull(() => sessionStorage.getItem(name));
  }

  setItem(name: string, value: string): void {
    try {
      sessionStorage.setItem(name, value);
      this.memory.removeItem(name);
    } catch {
      // Its value is outdated, so a reload must not continue with it.
      this.removeItem(name);
      this.memory.setItem(name, value);
    }
  }

  removeItem(name: string): void {
    this.memory.removeItem(name);
    orNull(() => sessionStorage.removeItem(name));
  }
}

/** One for the page, so that all its clients share the same intents. @internal */
export const PAGE_STORAGE: IntentStorage = new PageStorage();

function orNull<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}
