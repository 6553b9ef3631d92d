import type { RecordState, RecordView, Steps } from '../../engine/store.js';
import type { RecordStory } from '../../engine/story.js';
import type { Queued } from './expiry-queue.js';

/**
 * The size of a record without its texts and bytes: the object, its entries in map and queue, the
 * headers of its strings. Measured on Node 20 and rounded up.
 */
const RECORD_BYTES = 500;
/** The size of an array of bytes without its content. */
const ARRAY_BYTES = 200;

const NO_STEPS: Steps = new Map();

/** The story of a record that was just made. */
export const NO_STORY: RecordStory = {};

/** One record. It has the same fields in the same order in every state. */
export class MemoryRecord implements Queued {
  state: RecordState = 'issued';
  attempt = 0;
  fencingToken = 0;
  steps: Map<string, Uint8Array> | undefined = undefined;
  /** Only when `completed`. */
  reply: Uint8Array | undefined = undefined;
  /** Only when `held`. */
  reason: string | undefined = undefined;
  /** Only meaningful if `in-flight`. */
  leaseEndsAt = 0;
  /** What operators see. Its parts are never changed: each change makes a new one. */
  story: RecordStory = NO_STORY;
  /** Whose claim it is, while it counts. */
  bucket: string | undefined = undefined;
  /** The bytes that the store counts for this record. */
  bytes = 0;
  queueIndex = -1;

  constructor(
    readonly id: string,
    public owner: string,
    public fingerprint: string,
    /** Infinity: kept until someone settles it. */
    public expiresAt: number,
  ) {}

  /** True while only `owner` may change the record. */
  isLeased(now: number): boolean {
    return this.state === 'in-flight' && now < this.leaseEndsAt;
  }

  /** True if `owner` may still settle the record from the given state. */
  isOwnedBy(owner: string, from: 'in-flight' | 'held' | undefined, now: number): boolean {
    if (this.owner !== owner) return false;
    return from === 'held' ? this.state === 'held' : this.isLeased(now);
  }

  /** A copy of the steps, which later steps do not change. */
  copyOfSteps(): Steps {
    if (this.steps === undefined) return NO_STEPS;
    const copy = new Map<string, Uint8Array>();
    for (const [name, value] of this.steps) copy.set(name, copyToGive(value));
    return copy;
  }

  view(now: number): RecordView {
    return {
      id: this.id,
      state: this.state,
      owner: this.owner,
      attempt: this.attempt,
      fencingToken: this.fencingToken,
      fingerprint: this.fingerprint,
      steps: this.copyOfSteps(),
      story: this.story,
      ...(this.reply && { reply: copyToGive(this.reply) }),
      ...(this.reason !== undefined && { reason: this.reason }),
      ...(this.state === 'in-flight' && { leaseRemainingMs: this.leaseEndsAt - now }),
      ...(this.expiresAt !== Infinity && { ttlRemainingMs: this.expiresAt - now }),
    };
  }
}

/** The size of a record without reply and steps, in bytes. */
export function bytesOfRecord(id: string, owner: string, fingerprint: string): number {
  return RECORD_BYTES + bytesOfText(id) + bytesOfText(owner) + bytesOfText(fingerprint);
}

/** Two bytes per character, which is the most that a string takes. */
export function bytesOfText(text: string): number {
  return text.length * 2;
}

export function bytesOfArray(array: Uint8Array | undefined): number {
  return array === undefined ? 0 : ARRAY_BYTES + array.byteLength;
}

export function bytesOfStep(name: string, value: Uint8Array): number {
  return bytesOfText(name) + bytesOfArray(value);
}

/** A copy of exactly this size, because a view would keep the whole buffer behind it in memory. */
export function copyToKeep(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/**
 * A copy from Node's pool, which is several times faster for small replies. These copies do not
 * live long.
 */
export function copyToGive(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes);
}
