import type { RecordState, RecordView, Steps } from '../../engine/store.js';
import type { Queued } from './expiry-queue.js';

/**
 * What a record weighs beside its texts and bytes: the object, its entries in map and queue,
 * the headers of its strings. Measured on Node 20 and rounded up.
 */
const RECORD_BYTES = 400;
/** What an array of bytes weighs beside its content. */
const ARRAY_BYTES = 200;

const NO_STEPS: Steps = new Map();

/** One record, with the same fields in the same order whatever its state. */
export class MemoryRecord implements Queued {
  state: RecordState = 'issued';
  attempt = 0;
  fencingToken = 0;
  steps: Map<string, Uint8Array> | undefined = undefined;
  /** Only when `completed`. */
  reply: Uint8Array | undefined = undefined;
  /** Only when `held`. */
  reason: string | undefined = undefined;
  /** Meaningful only when `in-flight`. */
  leaseEndsAt = 0;
  /** Whose claim it is, while it counts. */
  bucket: string | undefined = undefined;
  /** What the store has booked for this record. */
  bytes = 0;
  queueIndex = -1;

  constructor(
    readonly id: string,
    public owner: string,
    public fingerprint: string,
    /** Infinity: kept until someone settles it. */
    public expiresAt: number,
  ) {}

  /** True while nobody but `owner` may touch the record. */
  isLeased(now: number): boolean {
    return this.state === 'in-flight' && now < this.leaseEndsAt;
  }

  /** True when `owner` may still settle the record from the state it names. */
  isOwnedBy(owner: string, from: 'in-flight' | 'held' | undefined, now: number): boolean {
    if (this.owner !== owner) return false;
    return from === 'held' ? this.state === 'held' : this.isLeased(now);
  }

  /** The steps, apart from the record: what is saved later does not show in them. */
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
      ...(this.reply && { reply: copyToGive(this.reply) }),
      ...(this.reason !== undefined && { reason: this.reason }),
      ...(this.state === 'in-flight' && { leaseRemainingMs: this.leaseEndsAt - now }),
      ...(this.expiresAt !== Infinity && { ttlRemainingMs: this.expiresAt - now }),
    };
  }
}

/** What a record is booked with before it has a reply or steps, in bytes. */
export function bytesOfRecord(id: string, owner: string, fingerprint: string): number {
  return RECORD_BYTES + bytesOfText(id) + bytesOfText(owner) + bytesOfText(fingerprint);
}

/** At two bytes per character, the most that a string takes. */
export function bytesOfText(text: string): number {
  return text.length * 2;
}

export function bytesOfArray(array: Uint8Array | undefined): number {
  return array === undefined ? 0 : ARRAY_BYTES + array.byteLength;
}

export function bytesOfStep(name: string, value: Uint8Array): number {
  return bytesOfText(name) + bytesOfArray(value);
}

/** Memory of its own, of exactly this size: a view would keep the whole buffer behind it. */
export function copyToKeep(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes);
}

/** From Node's pool: several times faster for small replies, and these do not live long. */
export function copyToGive(bytes: Uint8Array): Uint8Array {
  return Buffer.from(bytes);
}
