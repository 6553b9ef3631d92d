import { attempt, type Awaitable, Failure } from '../../engine/awaitable.js';
import type { AcquireRequest } from '../../engine/store.js';
import type { Argument } from './redis-connection.js';
import { SCRIPTS } from './scripts.generated.js';

export type Script = (typeof SCRIPTS)[keyof typeof SCRIPTS];

type Run = (script: Script, keys: readonly string[], args: readonly Argument[]) => Promise<unknown>;

/** The answer of acquire.lua for a record that was claimed before. */
const NOT_NEW = -2;

/**
 * The callers' buckets if records are on other nodes, as in a Cluster. The claim and the check for
 * room are sent at the same time, each to its node, so together they take as long as one. Claims
 * are counted, and removed again, without waiting.
 *
 * So claims at the same moment may exceed a limit. Only what was claimed is counted, so nobody is
 * refused because of a call that was itself refused. A claim that is not removed stops counting
 * when its lease ends.
 */
export class RedisBuckets {
  constructor(
    private readonly prefix: string,
    private readonly run: Run,
  ) {}

  /** The key of a bucket. */
  nameOf(bucket: string): string {
    return `${this.prefix}caller:${bucket}`;
  }

  /** @param claim claims the record at `key` whether or not there is room */
  async acquire(
    { owner, bucket = '', leaseMs, limits }: AcquireRequest,
    key: string,
    claim: () => Promise<unknown>,
  ): Promise<unknown> {
    const { inFlight = 0, newKeys = 0, windowMs = 0 } = limits ?? {};
    const isLimited = inFlight > 0 || newKeys > 0;
    const peeked = isLimited ? this.peek(bucket, inFlight, newKeys) : [];
    const answer = (await claim()) as readonly unknown[];
    if (String(answer[0]) !== 'acquired') return answer;
    const newFor = Number(answer[5]);
    const isNew = newFor !== NOT_NEW;
    const refusal = isNew ? await peeked : [];
    if (refusal instanceof Failure) throw refusal.cause;
    if (refusal.length > 0) {
      await this.run(SCRIPTS.withdraw, [key], [owner, `${Math.max(0, newFor)}`]);
      return refusal;
    }
    this.enter(bucket, key, leaseMs, isNew ? windowMs : 0);
    return answer;
  }

  /** Counts a claim that was made, or renewed. */
  enter(bucket: string, key: string, leaseMs: number, newForMs: number): void {
    this.tell(SCRIPTS.enterBucket, bucket, [key, `${leaseMs}`, `${newForMs}`]);
  }

  /** Removes a claim that has ended. */
  leave(bucket: string, key: string): void {
    this.tell(SCRIPTS.leaveBucket, bucket, [key]);
  }

  private peek(
    bucket: string,
    inFlight: number,
    newKeys: number,
  ): Awaitable<readonly unknown[] | Failure> {
    const keys = [this.nameOf(bucket)];
    const asked = attempt(() => this.run(SCRIPTS.peekBucket, keys, [`${inFlight}`, `${newKeys}`]));
    return asked as Awaitable<readonly unknown[] | Failure>;
  }

  /** If this is lost, the count is right again when the lease ends. */
  private tell(script: Script, bucket: string, args: readonly Argument[]): void {
    this.run(script, [this.nameOf(bucket)], args).catch(() => undefined);
  }
}
