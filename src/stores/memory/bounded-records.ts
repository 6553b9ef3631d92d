import { StoreFullError } from '../../engine/store.js';
import { ExpiryQueue } from './expiry-queue.js';
import { bytesOfRecord, type MemoryRecord } from './memory-record.js';

/** A `Map` holds 2^24 entries, of which up to half may be deleted ones. */
const MOST_RECORDS = 2 ** 23;

/** The records by id and by expiry, within their bounds. Knows nothing about the protocol. */
export class BoundedRecords {
  private readonly byId = new Map<string, MemoryRecord>();
  private readonly byExpiry = new ExpiryQueue<MemoryRecord>();
  private usedBytes = 0;

  /** @throws RangeError if a bound is not a whole number in its range. */
  constructor(
    private readonly maxRecords: number,
    private readonly maxBytes: number,
  ) {
    checkBound('maxRecords', maxRecords, MOST_RECORDS);
    checkBound('maxBytes', maxBytes, Number.MAX_SAFE_INTEGER);
  }

  get size(): number {
    return this.byId.size;
  }

  get bytes(): number {
    return this.usedBytes;
  }

  /** All records, even those whose ttl has passed, in the order in which they were inserted. */
  all(): IterableIterator<MemoryRecord> {
    return this.byId.values();
  }

  /** The record, even if its ttl has passed. */
  get(id: string): MemoryRecord | undefined {
    return this.byId.get(id);
  }

  /** The record, unless its ttl has passed. Then it is dropped. */
  look(id: string, now: number): MemoryRecord | undefined {
    const record = this.byId.get(id);
    if (record === undefined || now < record.expiresAt) return record;
    this.drop(record);
    return undefined;
  }

  /** @throws StoreFullError */
  insert(record: MemoryRecord, now: number): void {
    const bytes = bytesOfRecord(record.id, record.owner, record.fingerprint);
    this.makeRoom(1, bytes, now);
    this.byId.set(record.id, record);
    this.byExpiry.add(record, record.expiresAt);
    this.book(record, bytes);
  }

  keepUntil(record: MemoryRecord, expiresAt: number): void {
    record.expiresAt = expiresAt;
    this.byExpiry.move(record, expiresAt);
  }

  /** Sets how many bytes the record takes from now on. */
  book(record: MemoryRecord, bytes: number): void {
    this.usedBytes += bytes - record.bytes;
    record.bytes = bytes;
  }

  /**
   * Drops expired records, and nothing else, until there is room for this much more.
   *
   * @throws StoreFullError
   */
  makeRoom(records: number, bytes: number, now: number): void {
    if (records <= 0 && bytes <= 0) return;
    while (this.byId.size + records > this.maxRecords || this.usedBytes + bytes > this.maxBytes) {
      if (this.dropExpired(1, now) === 0) throw this.full();
    }
  }

  /** Drops at most `limit` records whose ttl has passed, and returns how many. */
  dropExpired(limit: number, now: number): number {
    let dropped = 0;
    while (dropped < limit) {
      const record = this.byExpiry.due(now);
      if (record === undefined) break;
      this.drop(record);
      dropped += 1;
    }
    return dropped;
  }

  drop(record: MemoryRecord): void {
    this.byId.delete(record.id);
    this.byExpiry.remove(record);
    this.usedBytes -= record.bytes;
  }

  private full(): StoreFullError {
    return new StoreFullError(
      `The memory store is full and nothing in it has expired: ${this.size} of ${this.maxRecords} ` +
        `records (maxRecords), ${this.bytes} of ${this.maxBytes} bytes (maxBytes). ` +
        'Raise the bound, shorten the ttl, or use a store outside this process.',
    );
  }
}

function checkBound(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new RangeError(
    `MemoryStore: ${name} is ${String(value)}; it must be a whole number from 1 to ${most}. ` +
      'Leave it out to use the default.',
  );
}

/** The watchers of records, by id. */
export class Watchers {
  private readonly byId = new Map<string, Set<Watcher>>();

  /** @returns a function that stops the watch. It may be called more than once */
  add(id: string, onChange: () => void): () => void {
    const watcher: Watcher = { onChange };
    let watching = this.byId.get(id);
    if (watching === undefined) this.byId.set(id, (watching = new Set()));
    watching.add(watcher);
    return () => {
      watching.delete(watcher);
      if (watching.size === 0 && this.byId.get(id) === watching) this.byId.delete(id);
    };
  }

  wake(id: string): void {
    const watching = this.byId.get(id);
    if (watching === undefined) return;
    // Called outside the verb, so that nothing a watcher does or throws affects the verb.
    for (const watcher of watching) {
      queueMicrotask(() => {
        if (watching.has(watcher)) watcher.onChange();
      });
    }
  }
}

/** A separate object for each watch, because the same function may be passed twice. */
interface Watcher {
  readonly onChange: () => void;
}
