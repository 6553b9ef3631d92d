export const TOO_MUCH_WAITS =
  'Too many finished operations are already waiting for the idempotency store (maxDeferredCompletions).';

/** Limits what may wait to be recorded, for the whole process. */
export interface DeferredBounds {
  /** How many finished operations may wait; beyond that, nothing new is claimed. */
  readonly maxCompletions: number;
  /** How many bytes of replies may wait; beyond that, only tombstones are kept. */
  readonly maxBytes: number;
  /** Recorded in place of a reply that was not kept; duplicates are told so. */
  readonly tombstone: Uint8Array;
}

/**
 * Finished operations that are not on record yet. If one were forgotten, it would run again, so
 * none is dropped. Instead, this limits the bytes of their replies, and then which new operations
 * may begin.
 */
export class DeferredCompletions {
  private count = 0;
  private bytes = 0;

  constructor(readonly bounds: DeferredBounds) {}

  /**
   * True when nothing more may begin. Operations that are already running may still exceed the
   * limit.
   */
  get isFull(): boolean {
    return this.count >= this.bounds.maxCompletions || this.bytes > this.bounds.maxBytes;
  }

  /** Reserves room for a reply, or if there is none, for its tombstone. */
  add(reply: Uint8Array): DeferredReply {
    const hasRoom = this.bytes + reply.byteLength <= this.bounds.maxBytes;
    return new DeferredReply(hasRoom ? reply : this.bounds.tombstone, this);
  }

  /** Counts what waits, and returns a function that takes it off again. */
  book(bytes: number): () => void {
    this.count += 1;
    this.bytes += bytes;
    return () => {
      this.count -= 1;
      this.bytes -= bytes;
    };
  }
}

/** The reply of one operation while it waits for the store. */
export class DeferredReply {
  private takeOff: () => void;

  constructor(
    public bytes: Uint8Array,
    private readonly all: DeferredCompletions,
  ) {
    this.takeOff = all.book(bytes.byteLength);
  }

  get kind(): 'reply' | 'tombstone' {
    return this.bytes === this.all.bounds.tombstone ? 'tombstone' : 'reply';
  }

  /** The store will never have room for it. */
  shrink(): void {
    this.takeOff();
    this.bytes = this.all.bounds.tombstone;
    this.takeOff = this.all.book(this.bytes.byteLength);
  }

  leave(): void {
    this.takeOff();
  }
}
