/** What may wait to be told to the store, for the whole process. */
export interface DeferredBounds {
  /** How many ends of operations may wait; beyond that, nothing new is claimed. */
  readonly maxCompletions: number;
  /** How many bytes of replies may wait; beyond that, tombstones do. */
  readonly maxBytes: number;
  /** The reply that says that there is none: what a duplicate is told in place of what was not kept. */
  readonly tombstone: Uint8Array;
}

/**
 * Ends of operations that the store could not be told yet. An operation whose end is forgotten would
 * run again, so that none is: what is bounded is the bytes, and then the operations that begin.
 */
export class DeferredCompletions {
  private count = 0;
  private bytes = 0;

  constructor(readonly bounds: DeferredBounds) {}

  /** True when nothing more may begin: what is under way already comes on top of the bounds. */
  get isFull(): boolean {
    return this.count >= this.bounds.maxCompletions || this.bytes > this.bounds.maxBytes;
  }

  /** Makes room for a reply as it is, or for its tombstone. */
  add(reply: Uint8Array): DeferredReply {
    const hasRoom = this.bytes + reply.byteLength <= this.bounds.maxBytes;
    return new DeferredReply(hasRoom ? reply : this.bounds.tombstone, this);
  }

  /** Books what waits, and answers with a function that takes it off again. */
  book(bytes: number): () => void {
    this.count += 1;
    this.bytes += bytes;
    return () => {
      this.count -= 1;
      this.bytes -= bytes;
    };
  }
}

/** The reply of one operation, for as long as it waits for the store. */
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
