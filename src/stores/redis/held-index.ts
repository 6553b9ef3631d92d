import type { ListedRecord, ListRequest, RecordPage, RecordView } from '../../engine/store.js';
import type { Script } from './redis-buckets.js';
import type { Argument } from './redis-connection.js';
import { SCRIPTS } from './scripts.generated.js';

/** A younger entry may belong to a record that is just being held. In milliseconds. */
const SETTLES_WITHIN_MS = 60_000;

/** What the index needs of the store. */
interface Surroundings {
  readonly run: (
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
  ) => Promise<unknown>;
  readonly find: (id: string) => Promise<RecordView | undefined>;
}

/**
 * The ids of held records in the order in which they were held: one sorted set, which only a hold and a
 * settlement write. An entry whose record is not held any more is dropped when it is read.
 */
export class HeldIndex {
  /** The key of the sorted set. */
  readonly name: string;

  constructor(
    prefix: string,
    private readonly store: Surroundings,
  ) {
    this.name = `${prefix}held`;
  }

  async enter(id: string): Promise<void> {
    await this.store.run(SCRIPTS.enterHeld, [this.name], [id]);
  }

  /** Without waiting. If this is lost, the entries are dropped when they are read. */
  leave(ids: readonly string[], olderThanMs: number): void {
    if (ids.length === 0) return;
    const args = [`${olderThanMs}`, ...ids];
    this.store.run(SCRIPTS.leaveHeld, [this.name], args).catch(() => undefined);
  }

  async list({ after, limit }: Omit<ListRequest, 'state'>): Promise<RecordPage> {
    const args = after === undefined ? [`${limit}`] : [`${limit}`, ...placeOf(after)];
    const entries = (await this.store.run(SCRIPTS.listHeld, [this.name], args)) as unknown[];
    const ids: string[] = [];
    for (let i = 0; i < entries.length; i += 2) ids.push(String(entries[i]));
    const found = await Promise.all(ids.map((id) => this.store.find(id)));
    const records = found.filter((record) => record?.state === 'held') as RecordView[];
    const held = new Set(records.map(({ id }) => id));
    this.leave(
      ids.filter((id) => !held.has(id)),
      SETTLES_WITHIN_MS,
    );
    const isFull = ids.length === limit;
    return {
      records: records.map(listedRecord),
      next: isFull ? `${String(entries.at(-1))}.${ids.at(-1)}` : undefined,
    };
  }
}

/** A record without its content. */
export function listedRecord(record: RecordView): ListedRecord {
  const { reply: _, steps: __, ...listed } = record;
  return listed;
}

/** @throws Error for what no page has given */
function placeOf(after: string): readonly [score: string, id: string] {
  const [, score, id] = /^(\d{1,16})\.(.+)$/s.exec(after) ?? [];
  if (score === undefined || id === undefined)
    throw new Error('The cursor does not come from a list of this store.');
  return [score, id];
}
