import { randomBytes } from 'node:crypto';
import { attempt, type Awaitable, chain, Failure } from './awaitable.js';
import type { StepTombstone } from './claim.js';
import type { OperationRequest } from './operation.js';
import type { StoreCalls } from './store-calls.js';
import { type Acquired, type AcquireResult, isStoreFull } from './store.js';
import type { RecordedFailure } from './story.js';

/**
 * A record as its owner writes it: every verb uses the owner's name. `false`: the record is not
 * ours.
 */
export class OwnedRecord {
  private currentTtlMs: number;
  private readonly id: string;
  private readonly bucket: string | undefined;
  private unsavedSteps: Map<string, Uint8Array> | undefined;
  private successor: string | undefined;

  constructor(
    private readonly calls: StoreCalls,
    private readonly request: OperationRequest,
    private owner: string,
  ) {
    this.id = request.id;
    this.bucket = request.caller?.bucket;
    this.currentTtlMs = request.policy.ttlMs;
  }

  /** How long the reply, or what a release leaves behind, will be kept, in milliseconds. */
  get ttlMs(): number {
    return this.currentTtlMs;
  }

  /** How many bytes of finished steps are not on record yet. */
  get unsavedBytes(): number {
    let bytes = 0;
    for (const value of this.unsavedSteps?.values() ?? []) bytes += value.byteLength;
    return bytes;
  }

  /** Changes {@link ttlMs}, as far as the request allows. */
  keepFor(ttlMs: number): void {
    this.currentTtlMs = Math.max(ttlMs, this.request.leastTtlMs ?? 0);
  }

  extend(withinMs: number): Awaitable<boolean> {
    const { id, owner, bucket, ttlMs } = this;
    const { leaseMs } = this.request.policy;
    return this.calls.call(
      'extend',
      (store) => store.extend({ id, owner, bucket, leaseMs, ttlMs }),
      { withinMs },
    );
  }

  complete(reply: Uint8Array): Awaitable<boolean> {
    const { id, owner, bucket, ttlMs } = this;
    return this.calls.call('complete', (store) =>
      store.complete({ id, owner, bucket, reply, ttlMs }),
    );
  }

  /** @param isUncounted for an attempt that has not failed */
  release(isUncounted: boolean): Awaitable<boolean> {
    const { id, owner, bucket, ttlMs } = this;
    const request = { id, owner, bucket, ttlMs, isUncounted };
    return this.withStepsSaved(() => this.calls.call('release', (store) => store.release(request)));
  }

  hold(reason: string, failure: RecordedFailure | undefined): Awaitable<boolean> {
    const { id, owner, bucket, ttlMs } = this;
    return this.withStepsSaved(() =>
      this.calls.call('hold', (store) => store.hold({ id, owner, bucket, reason, failure, ttlMs })),
    );
  }

  /** A result that the store will never take for its size is tried once: its step must not run again and again. */
  saveStep(name: string, value: Uint8Array, tombstone?: StepTombstone): Awaitable<boolean> {
    const { id, owner } = this;
    const save = (bytes: Uint8Array): Awaitable<boolean> =>
      this.calls.call('saveStep', (store) => store.saveStep({ id, owner, name, value: bytes }));
    if (tombstone === undefined) return save(value);
    return chain(
      attempt(() => save(value)),
      (saved) => {
        if (!(saved instanceof Failure)) return saved;
        if (!isStoreFull(saved.cause)) throw saved.cause;
        return chain(
          attempt(() => save(tombstone.value)),
          (kept) => {
            // If that is not taken either, it was not the size.
            if (kept instanceof Failure) throw saved.cause;
            tombstone.used();
            return kept;
          },
        );
      },
    );
  }

  /** Saves the step before anybody else can run, because a finished step must not run twice. */
  saveStepLater(name: string, value: Uint8Array): void {
    (this.unsavedSteps ??= new Map<string, Uint8Array>()).set(name, value);
  }

  /**
   * Claims the record once more, with the same name at every try. An earlier try may have claimed
   * it although its answer was lost; then the record is already ours. Work that is done is
   * recorded whatever else its caller does, so no limit applies.
   */
  reclaim(): Awaitable<AcquireResult> {
    const { fingerprint, policy, scope, label } = this.request;
    const { leaseMs } = policy;
    const { id, bucket, ttlMs } = this;
    const owner = (this.owner = this.successor ??= newOwner());
    return this.calls.acquire(
      { id, owner, bucket, fingerprint, leaseMs, ttlMs, scope, label },
      { withinMs: leaseMs },
    );
  }

  private withStepsSaved(settle: () => Awaitable<boolean>): Awaitable<boolean> {
    const { unsavedSteps } = this;
    return unsavedSteps === undefined ? settle() : this.saveStepsThen(unsavedSteps, settle);
  }

  private async saveStepsThen(
    unsaved: Map<string, Uint8Array>,
    settle: () => Awaitable<boolean>,
  ): Promise<boolean> {
    for (const [name, value] of unsaved) {
      if (!(await this.saveStep(name, value))) return false;
      unsaved.delete(name);
    }
    return settle();
  }
}

/** True if an abandoned operation must not simply run again. An abandoned lock is just free. */
export function wantsInquiry({ recover, policy }: OperationRequest): boolean {
  return policy.keepsReply && (recover !== undefined || policy.onAbandoned === 'hold');
}

/**
 * Releases a claim that nobody will use. Best effort: if this fails, the claim ends with its lease.
 *
 * @param acquired the store's answer, if it came late; absent if it never came
 */
export async function giveBack(
  calls: StoreCalls,
  request: OperationRequest,
  owner: string,
  acquired: Acquired | undefined,
): Promise<void> {
  const { id, policy, caller } = request;
  const { ttlMs } = policy;
  const bucket = caller?.bucket;
  try {
    // If it were released, an abandoned operation would run again without anybody asking what was
    // done.
    if (wantsInquiry(request)) {
      const isFresh = acquired ? !acquired.abandoned : await isFirstClaim(calls, id, owner);
      if (!isFresh) return;
    }
    const unused = { id, owner, bucket, ttlMs, isUncounted: true };
    await calls.call('release', (store) => store.release(unused));
  } catch {
    // The store is still failing.
  }
}

async function isFirstClaim(calls: StoreCalls, id: string, owner: string): Promise<boolean> {
  const record = await calls.call('find', (store) => store.find(id));
  return record?.owner === owner && record.attempt === 1;
}

/**
 * Random, once per process. The counter makes owners unique within the process at no cost per call.
 */
const processId = randomBytes(12).toString('base64url');
let claims = 0;

/** A name that no other claim, in any process, has had or will have. */
export function newOwner(): string {
  claims += 1;
  return `${processId}.${claims.toString(36)}`;
}
