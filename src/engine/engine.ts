import { LeasedClaim, type LeasedClaimSurroundings } from './leased-claim.js';
import type { Clock } from './clock.js';
import type { EventSink } from './events.js';
import { fingerprintsMatch, LocalCall } from './local-call.js';
import type { Beginning, OperationRequest, Refused, Replay } from './operation.js';
import { newOwner } from './owner.js';
import { Rounds } from './rounds.js';
import { type Awaitable, isPending } from './awaitable.js';
import type { AcquireResult, Refusing } from './store.js';
import type { StoreCalls } from './store-calls.js';
import type { IdempotencyErrorCode } from './refusals.js';

/** A duplicate that has to look again after something changed. */
const LOOK_AGAIN = Symbol('look again');

/** Where a waiting duplicate stands. */
interface Waiting {
  readonly startedAtMs: number;
  round: number;
}

/**
 * The protocol: who may run an operation, who is answered from its record, who waits and who
 * is refused. Knows neither where a call came from nor where records live.
 */
export class IdempotencyEngine implements LeasedClaimSurroundings {
  private readonly locals = new Map<string, LocalCall>();
  private readonly rounds: Rounds;
  private readonly background = new Set<Promise<void>>();

  constructor(
    readonly calls: StoreCalls,
    readonly clock: Clock,
    readonly events: EventSink,
  ) {
    this.rounds = new Rounds(calls.store, clock);
  }

  /** Decides what becomes of a call. Answers without a promise when the store does. */
  begin(request: OperationRequest): Awaitable<Beginning> {
    const beginning = this.look(request, undefined);
    if (isPending(beginning)) return this.waitAndLook(request, beginning);
    return beginning === LOOK_AGAIN ? this.waitAndLook(request, beginning) : beginning;
  }

  /** Waits until nothing is left to be told to the store, or the time is over. */
  async drain(timeoutMs: number): Promise<void> {
    if (this.background.size === 0) return;
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(timeoutMs, resolve);
      void Promise.allSettled(this.background).then(() => {
        cancel();
        resolve();
      });
    });
  }

  newOwner(): string {
    return newOwner();
  }

  closed(id: string, local: LocalCall): void {
    if (this.locals.get(id) === local) this.locals.delete(id);
  }

  inBackground(work: Promise<void>): void {
    this.background.add(work);
    void work.finally(() => this.background.delete(work));
  }

  private async waitAndLook(
    request: OperationRequest,
    first: Awaitable<Beginning | typeof LOOK_AGAIN>,
  ): Promise<Beginning> {
    const waiting: Waiting = { startedAtMs: this.clock.now(), round: 0 };
    let beginning = await first;
    while (beginning === LOOK_AGAIN) {
      if (request.isWanted?.() === false)
        beginning = this.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
      else beginning = await this.look(request, waiting);
    }
    if (waiting.round > 0 && this.events.hasListeners) {
      const { scope, id } = request;
      this.events.emit({
        type: 'waited',
        scope,
        id,
        durationMs: this.clock.now() - waiting.startedAtMs,
      });
    }
    return beginning;
  }

  /** One look at the operation: joins the call of this process, or asks the store. */
  private look(
    request: OperationRequest,
    waiting: Waiting | undefined,
  ): Awaitable<Beginning | typeof LOOK_AGAIN> {
    const local = this.locals.get(request.id);
    return local === undefined
      ? this.acquire(request, waiting)
      : this.join(request, local, waiting);
  }

  private acquire(
    request: OperationRequest,
    waiting: Waiting | undefined,
  ): Awaitable<Beginning | typeof LOOK_AGAIN> {
    const { id, fingerprint, policy } = request;
    const local = new LocalCall(fingerprint);
    const owner = newOwner();
    const acquireRequest = {
      id,
      owner,
      fingerprint,
      leaseMs: policy.leaseMs,
      retentionMs: policy.retentionMs,
      mustBeIssued: policy.refuseUnknown !== undefined,
    };
    this.locals.set(id, local);
    let result: Awaitable<AcquireResult>;
    try {
      result = this.calls.call(
        (store) => store.acquire(acquireRequest),
        // Nobody waits for this claim any more: the caller has been refused.
        (late) => late.outcome === 'acquired' && this.giveBack(request, owner),
      );
    } catch (cause) {
      return this.acquireFailed(request, local, owner, cause);
    }
    return isPending(result)
      ? Promise.resolve(result).then(
          (answer) => this.answered(request, local, owner, answer, waiting),
          (cause: unknown) => this.acquireFailed(request, local, owner, cause),
        )
      : this.answered(request, local, owner, result, waiting);
  }

  private answered(
    request: OperationRequest,
    local: LocalCall,
    owner: string,
    result: AcquireResult,
    waiting: Waiting | undefined,
  ): Awaitable<Beginning | typeof LOOK_AGAIN> {
    if (result.outcome !== 'acquired') {
      this.closed(request.id, local);
      local.answer(result);
      return this.consider(request, result, waiting);
    }
    const claim = new LeasedClaim(this, local, request, owner, result);
    local.run();
    if (this.events.hasListeners) {
      const { scope, id } = request;
      const { attempt, fencingToken } = result;
      this.events.emit({
        type: result.abandoned ? 'taken-over' : 'claimed',
        scope,
        id,
        attempt,
        fencingToken,
      });
    }
    if (
      result.abandoned &&
      (request.recover !== undefined || request.policy.onAbandoned === 'hold')
    )
      return this.recover(request, claim);
    return { outcome: 'execute', claim };
  }

  private acquireFailed(
    request: OperationRequest,
    local: LocalCall,
    owner: string,
    cause: unknown,
  ): Beginning {
    this.closed(request.id, local);
    local.fail(cause);
    // The claim may have been written although the answer got lost.
    this.giveBack(request, owner);
    return this.storeFailed(request, cause);
  }

  /** The last owner fell silent: find out, hold, or run again. */
  private async recover(request: OperationRequest, claim: LeasedClaim): Promise<Beginning> {
    let decision;
    try {
      decision =
        (await request.recover?.({ attempt: claim.attempt, steps: claim.steps })) ??
        request.policy.onAbandoned;
    } catch (error) {
      // The next caller takes over in turn when the lease has run out, and asks again.
      claim.abandon();
      throw error;
    }
    if (decision === 'rerun') return { outcome: 'execute', claim };
    if (decision === 'hold') {
      await claim.hold('abandoned');
      return this.refuse(request, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    }
    const settlement = await claim.complete(decision);
    if (settlement.outcome === 'lost') return this.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    return this.replay(request, settlement.outcome === 'superseded' ? settlement.reply : decision);
  }

  /** A duplicate within this process. */
  private join(
    request: OperationRequest,
    local: LocalCall,
    waiting: Waiting | undefined,
  ): Awaitable<Beginning | typeof LOOK_AGAIN> {
    const { phase } = local;
    if (phase.name === 'acquiring') {
      return new Promise<void>((resolve) => local.onChange(resolve)).then(() =>
        this.join(request, local, waiting),
      );
    }
    if (phase.name === 'gone') return LOOK_AGAIN;
    if (phase.name === 'failed') return this.storeFailed(request, phase.cause);
    if (!fingerprintsMatch(request.fingerprint, local.fingerprint)) {
      // The one that asked was itself the mismatch: this call has to ask on its own.
      if (phase.name === 'answered' && phase.result.outcome === 'mismatch') return LOOK_AGAIN;
      return this.refuse(request, 'IDEMPOTENCY_KEY_REUSED');
    }
    switch (phase.name) {
      case 'answered':
        return this.consider(request, phase.result, waiting);
      case 'replied':
        return this.duplicate(request, phase.reply);
      case 'running':
        return this.wait(request, waiting, (wake) => local.onChange(wake));
    }
  }

  /** What the record says to a call that does not own it. */
  private consider(
    request: OperationRequest,
    result: Refusing,
    waiting: Waiting | undefined,
  ): Awaitable<Beginning | typeof LOOK_AGAIN> {
    switch (result.outcome) {
      case 'completed':
        return this.duplicate(request, result.reply);
      case 'mismatch':
        return this.refuse(request, 'IDEMPOTENCY_KEY_REUSED');
      case 'held':
        return this.refuse(request, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      case 'unknown':
        return this.refuse(request, request.policy.refuseUnknown ?? 'IDEMPOTENCY_KEY_INVALID');
      case 'in-flight': {
        const { leaseRemainingMs } = result;
        return this.wait(request, waiting, (wake, round) =>
          this.rounds.join(request.id, round, leaseRemainingMs, wake),
        );
      }
    }
  }

  private duplicate(request: OperationRequest, reply: Uint8Array): Beginning {
    return request.policy.onDuplicate === 'reject'
      ? this.refuse(request, 'IDEMPOTENCY_DUPLICATE')
      : this.replay(request, reply);
  }

  /** Waits for a change, no longer than the policy says, then has the call look again. */
  private wait(
    request: OperationRequest,
    waiting: Waiting | undefined,
    subscribe: (wake: () => void, round: number) => void,
  ): Awaitable<Beginning | typeof LOOK_AGAIN> {
    const { waitMs } = request.policy;
    // The first look has no clock running yet: it starts with the look that follows.
    if (waiting === undefined)
      return waitMs > 0 ? LOOK_AGAIN : this.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    const remainingMs = waiting.startedAtMs + waitMs - this.clock.now();
    if (remainingMs <= 0) return this.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    return new Promise((resolve) => {
      const cancel = this.clock.after(remainingMs, () => resolve(LOOK_AGAIN));
      subscribe(() => {
        cancel();
        resolve(LOOK_AGAIN);
      }, waiting.round++);
    });
  }

  private replay(request: OperationRequest, reply: Uint8Array): Replay {
    if (this.events.hasListeners)
      this.events.emit({ type: 'replayed', scope: request.scope, id: request.id });
    return { outcome: 'replay', reply };
  }

  private storeFailed(request: OperationRequest, cause: unknown): Beginning {
    if (request.policy.onStoreFailure === 'reject')
      return this.refuse(request, 'IDEMPOTENCY_STORE_UNAVAILABLE', cause);
    if (this.events.hasListeners)
      this.events.emit({ type: 'unprotected', scope: request.scope, id: request.id, cause });
    return { outcome: 'unprotected' };
  }

  private refuse(request: OperationRequest, code: IdempotencyErrorCode, cause?: unknown): Refused {
    const { scope, id, policy } = request;
    if (this.events.hasListeners) this.events.emit({ type: 'rejected', scope, id, code, cause });
    const isRetryable =
      code === 'IDEMPOTENCY_KEY_IN_USE' || code === 'IDEMPOTENCY_STORE_UNAVAILABLE';
    return {
      outcome: 'refused',
      code,
      retryAfterMs: isRetryable ? policy.retryAfterMs : undefined,
      cause,
    };
  }

  /** Best effort: without it the claim runs out with its lease. */
  private giveBack({ id, policy }: OperationRequest, owner: string): void {
    const release = async (): Promise<void> => {
      await this.calls.call((store) =>
        store.release({ id, owner, retentionMs: policy.retentionMs }),
      );
    };
    this.inBackground(release().catch(() => undefined));
  }
}
