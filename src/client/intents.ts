import type { IntentStorage } from './options.js';

/** What is kept about an intent. @internal */
export interface IntentRecord {
  readonly key: string;
  /** The header that the key belongs in, if a token came with one. */
  readonly header?: string;
  /** When a token that was not used is of no use any more, in milliseconds since 1970. */
  readonly expiresAt?: number;
  /** Of the content that the key was first sent with; absent as long as it was not. */
  readonly digest?: string;
  /** True when there was a final answer. Kept for forms, to which one can go back. */
  readonly answered?: true;
}

/** Makes the key of a new intent. @internal */
export type MakeKey = () => Promise<IntentRecord>;

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
  ): Promise<IntentRecord> {
    const fits = (record: IntentRecord): boolean =>
      record.digest === undefined ? !hasExpired(record) : record.digest === digest;
    return this.inTurn(name, async () => {
      const stored = this.read(name);
      const known = held === undefined ? open(stored) : stored?.key === held.key ? stored : held;
      const record = known !== undefined && fits(known) ? known : await make();
      return this.write(name, { ...record, digest });
    });
  }

  /**
   * The key of a form that is shown: that of the open intent, or a new one.
   *
   * @param isBack somebody went back to the form: it has the key that it had, also an answered one
   */
  prepare(name: string, make: MakeKey, isBack: boolean): Promise<IntentRecord> {
    return this.inTurn(name, async () => {
      const stored = this.read(name);
      const known = isBack ? stored : open(stored);
      return known ?? this.write(name, await make());
    });
  }

  /** There was a final answer: the name is free for the next intent. */
  answered(name: string | undefined, record: IntentRecord, isKept: boolean): void {
    // Another call, or another tab, may have begun the next intent meanwhile.
    if (name === undefined || this.read(name)?.key !== record.key) return;
    if (isKept) this.write(name, { ...record, answered: true });
    else this.storage.removeItem(PREFIX + name);
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

  private read(name: string | undefined): IntentRecord | undefined {
    const text = name === undefined ? null : this.storage.getItem(PREFIX + name);
    if (text === null) return undefined;
    try {
      const record = JSON.parse(text) as Partial<IntentRecord> | null;
      return typeof record?.key === 'string' ? (record as IntentRecord) : undefined;
    } catch {
      return undefined;
    }
  }

  private write(name: string | undefined, record: IntentRecord): IntentRecord {
    if (name !== undefined) this.storage.setItem(PREFIX + name, JSON.stringify(record));
    return record;
  }
}

function open(record: IntentRecord | undefined): IntentRecord | undefined {
  return record?.answered === true ? undefined : record;
}

function hasExpired({ expiresAt }: IntentRecord): boolean {
  return expiresAt !== undefined && expiresAt <= Date.now();
}
