/** What is kept about an intent. @internal */
export interface IntentRecord {
  readonly key: string;
  /** The header that the key belongs in, if a token came with one. */
  readonly header?: string;
  /** When a token that was not used is of no use any more, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** True as long as a token that this client has asked for was sent with nothing. */
  readonly isUnsent?: boolean;
  /** Of the content that the key was first sent with; absent as long as it was not. */
  readonly digest?: string;
  /** True while a page works on it; stays so when the page is gone before the answer. */
  readonly isPending?: boolean;
  /** True when there was a final answer. Kept where one can go back to what was asked. */
  readonly isAnswered?: boolean;
}

/** The key that content is sent with. @internal */
interface Claimed {
  readonly record: IntentRecord;
  /** True when a token was there already, and nobody who shares the storage has sent it. */
  readonly wasUnsent: boolean;
}

/** Makes the key of a new intent. @internal */
type MakeKey = () => Promise<IntentRecord>;

const PREFIX = 'nestjs-idempotency:';

/** The intents that are known by name, and the keys that they have. @internal */
export class Intents {
  private readonly turns = new Map<string, Promise<unknown>>();

  constructor(private readonly storage: IntentStorage) {}

  /**
   * The key for content that is about to be sent, noted as used from here on.
   *
   * @param held what a form got when it was shown: it counts more than what other tabs stored since
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
      // Where another intent has taken its place, nobody knows what became of what a form holds.
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
   * The key of what is shown, before there is any content: that of the open intent, or a new one.
   *
   * @param isBack somebody came back to it: it has the key that it had, also an answered one
   * @param given the key that the page came with, better than one that was never used
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

  /** Nobody works on the intent any more. */
  async settle(
    name: string | undefined,
    record: IntentRecord,
    outcome: 'open' | 'answered' | 'forgotten',
  ): Promise<void> {
    if (name === undefined) return;
    await this.inTurn(name, async () => {
      // Another call, or another tab, may have begun the next intent meanwhile.
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
 * What keeps keys while their intents are open: `sessionStorage`, `localStorage`, or one whose methods
 * answer later.
 */
export interface IntentStorage {
  getItem(name: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(name: string, value: string): unknown;
  removeItem(name: string): unknown;
}

/** Keeps keys for as long as whoever made it. @internal */
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
 * The tab's `sessionStorage`, and the page's memory for what that refuses: one that is full, or
 * switched off, is no reason to send nothing.
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
      // What stands there is of before: a reload must not go on with it.
      this.removeItem(name);
      this.memory.setItem(name, value);
    }
  }

  removeItem(name: string): void {
    this.memory.removeItem(name);
    orNull(() => sessionStorage.removeItem(name));
  }
}

/** One for the page, so that all of its clients know the same intents. @internal */
export const PAGE_STORAGE: IntentStorage = new PageStorage();

function orNull<T>(run: () => T): T | null {
  try {
    return run();
  } catch {
    return null;
  }
}
