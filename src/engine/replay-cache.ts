import type { Clock } from './clock.js';
import type { Completed } from './store.js';

/** How much is kept in the process, and for how long. */
export interface ReplayCacheOptions {
  readonly maxBytes: number;
  /** No reply is kept longer than this, in milliseconds. */
  readonly maxAgeMs: number;
}

interface Kept {
  /** The cache of the place that the record is in. */
  readonly place: object;
  readonly fingerprint: string;
  readonly reply: Uint8Array;
  readonly bytes: number;
  /** On the process's clock. */
  readonly untilMs: number;
}

/** What an entry takes besides its reply and its texts: objects, and its place in the map. Rounded up. */
const ENTRY_BYTES = 400;

/**
 * Replies of operations that are finished on record, answered without asking the store. A finished
 * record does not change; it can only expire, which is known, or be forgotten by an operator. In this
 * process the cache is told. In others it is not, so nothing is kept for long.
 */
export class ReplayCache {
  constructor(
    private readonly replies: BoundedReplies,
    private readonly clock: Clock,
  ) {}

  /** For another place, whose records may have the same ids. The bound is one for all. */
  ofPlace(): ReplayCache {
    return new ReplayCache(this.replies, this.clock);
  }

  /** The reply to this very content; `undefined` if the store has to be asked. */
  get(id: string, fingerprint: string): Uint8Array | undefined {
    const kept = this.replies.use(id, this.clock.now());
    return kept?.place === this && kept.fingerprint === fingerprint ? kept.reply : undefined;
  }

  /**
   * @param sinceMs when the store was asked: it counts the remaining time from a later moment
   * @param ttlMs how long the record is kept from then on
   */
  add(id: string, fingerprint: string, reply: Uint8Array, sinceMs: number, ttlMs: number): void {
    // It may be what was forgotten: the answer was on its way.
    if (sinceMs <= this.replies.forgottenAtMs) return;
    const untilMs = sinceMs + Math.min(ttlMs, this.replies.options.maxAgeMs);
    this.replies.drop(id);
    if (untilMs <= this.clock.now()) return;
    const bytes = ENTRY_BYTES + 2 * (id.length + fingerprint.length) + reply.byteLength;
    this.replies.keep(id, { place: this, fingerprint, reply, bytes, untilMs });
  }

  /** Keeps what the store has answered, if it says for how long. */
  learn(
    { id, fingerprint }: { readonly id: string; readonly fingerprint: string },
    { reply, ttlRemainingMs }: Completed,
    askedAtMs: number,
  ): void {
    if (ttlRemainingMs !== undefined) this.add(id, fingerprint, reply, askedAtMs, ttlRemainingMs);
  }

  /** In every place: the operator who deletes a record does not say in which. */
  forget(id: string): void {
    this.replies.drop(id);
    this.replies.forgottenAtMs = this.clock.now();
  }
}

/** The replies of all places, one for each id: equal ids of several places take turns. */
export class BoundedReplies {
  /** The least recently used first. */
  private readonly kept = new Map<string, Kept>();
  private bytes = 0;
  /** When a record was forgotten the last time, on the process's clock. */
  forgottenAtMs = -Infinity;

  constructor(readonly options: ReplayCacheOptions) {}

  use(key: string, nowMs: number): Kept | undefined {
    const kept = this.kept.get(key);
    if (kept === undefined) return undefined;
    if (kept.untilMs <= nowMs) {
      this.drop(key);
      return undefined;
    }
    this.kept.delete(key);
    this.kept.set(key, kept);
    return kept;
  }

  keep(key: string, given: Kept): void {
    const { maxBytes } = this.options;
    if (given.bytes > maxBytes) return;
    for (const oldest of this.kept.keys()) {
      if (this.bytes + given.bytes <= maxBytes) break;
      this.drop(oldest);
    }
    // A copy: the reply may be a part of what was read from a socket, which would be kept as a whole.
    this.kept.set(key, { ...given, reply: new Uint8Array(given.reply) });
    this.bytes += given.bytes;
  }

  drop(key: string): void {
    const kept = this.kept.get(key);
    if (kept === undefined) return;
    this.kept.delete(key);
    this.bytes -= kept.bytes;
  }
}
