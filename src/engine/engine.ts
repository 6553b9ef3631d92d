import { Answers } from './answers.js';
import { type Awaitable, chain, isPending } from './awaitable.js';
import { BackgroundWork } from './background-work.js';
import type { Clock } from './clock.js';
import { type DeferredCompletions, TOO_MUCH_WAITS } from './deferred.js';
import { type EventSink, subjectOf } from './events.js';
import type { Claim } from './claim.js';
import type { LeasedClaim, LeasedClaimSurroundings } from './leased-claim.js';
import { type Asking, type Claimed, type ClaimSource, LeasedClaims } from './leased-claims.js';
import { newOwner, wantsInquiry } from './owned-record.js';
import type { LockService } from './lock-service.js';
import { Locks } from './locks.js';
import { Places } from './places.js';
import { fingerprintsMatch, LocalCall, Rounds } from './waiting.js';
import type { ReplayCache } from './replay-cache.js';
import type { AttemptLimit, Beginning, OperationRequest, Refused } from './operation.js';
import type { IdempotencyErrorCode } from './refusals.js';
import { withoutEnd } from './story.js';
import type { IdempotencyStore, Refusing } from './store.js';
import { type StoreCalls, StoreUnavailableError } from './store-calls.js';
import { TransactionalClaims } from './transactional-claims.js';

/** Tells a duplicate to look again, because something changed. */
const LOOK_AGAIN = Symbol('look again');
type Look = Beginning | typeof LOOK_AGAIN;

/** How far a waiting duplicate has got. */
interface Waiting {
  readonly startedAtMs: number;
  round: number;
}

/**
 * The protocol: decides which call runs an operation, which is answered from its record, which
 * waits and which is refused. It knows neither where a call came from nor where records live.
 */
export class IdempotencyEngine implements LeasedClaimSurroundings {
  private readonly locals = new Map<string, LocalCall>();
  private readonly rounds: Rounds;
  private readonly answers: Answers;
  private readonly leases: ClaimSource;
  private readonly transactions: ClaimSource;
  private readonly background: BackgroundWork;
  private readonly places: Places | undefined;
  private readonly locks: Locks | undefined;

  /** @param rest for the engine of a single place: called whenever it may have become idle */
  constructor(
    readonly calls: StoreCalls,
    readonly clock: Clock,
    readonly events: EventSink,
    readonly deferred: DeferredCompletions,
    readonly replays?: ReplayCache | undefined,
    rest?: () => void,
    lockService?: LockService,
  ) {
    this.background = new BackgroundWork(clock, this.locals, rest);
    this.rounds = new Rounds(calls.store, clock);
    this.answers = new Answers(events);
    this.leases = new LeasedClaims(this);
    this.transactions = new TransactionalClaims(this);
    this.locks = lockService && new Locks(lockService, this, this.answers);
    if (rest === undefined)
      this.places = new Places(
        (store, atRest) =>
          new IdempotencyEngine(
            calls.to(store),
            clock,
            events,
            deferred,
            replays?.ofPlace(),
            atRest,
          ),
      );
  }

  /** True when no call of this process owns a record, asks for one, or still has to settle one. */
  get isIdle(): boolean {
    return this.background.isIdle && this.places?.isIdle !== false;
  }

  /** Decides what happens to a call. Answers without a promise if the store does. */
  begin(request: OperationRequest): Awaitable<Beginning> {
    const { places, locks } = this;
    if (locks !== undefined && request.policy.isLock === true) return locks.begin(request);
    if (places === undefined) return this.beginHere(request);
    const { store } = this.calls;
    const source = request.transaction?.source;
    if (source !== undefined) return places.begin(request, store, source);
    if (store.ofCall !== undefined) return this.beginAtTenant(request, places, store.ofCall);
    return this.beginHere(request);
  }

  private beginHere(request: OperationRequest): Awaitable<Beginning> {
    const look = this.look(request, undefined);
    return isPending(look) || look === LOOK_AGAIN ? this.lookAgain(request, look) : look;
  }

  private async beginAtTenant(
    request: OperationRequest,
    places: Places,
    ofCall: NonNullable<IdempotencyStore['ofCall']>,
  ): Promise<Beginning> {
    let store: IdempotencyStore;
    try {
      store = await this.calls.call('find', () => ofCall());
    } catch (cause) {
      return this.answers.storeFailed(request, cause);
    }
    return places.begin(request, store);
  }

  /** Refuses a call for a reason that the engine's caller found. */
  refuse(
    request: OperationRequest,
    code: IdempotencyErrorCode,
    reason?: Pick<Refused, 'cause' | 'unmet'>,
  ): Refused {
    return this.answers.refuse(request, code, reason);
  }

  /**
   * Waits until every operation has ended and is on record, or until the time is over. Keeps the
   * process alive for that long.
   *
   * @returns how many operations are left
   */
  async drain(timeoutMs: number): Promise<number> {
    const elsewhere = this.places?.drain(timeoutMs) ?? [];
    const left = [await this.background.drain(timeoutMs), ...(await elsewhere)];
    return left.reduce((sum, each) => sum + each, 0);
  }

  /** Nothing more is asked of the store by itself. */
  stop(): void {
    this.calls.stop();
  }

  opened(id: string, local: LocalCall): void {
    if (!this.locals.has(id)) this.locals.set(id, local);
  }

  closed(id: string, local: LocalCall): void {
    if (this.locals.get(id) !== local) return;
    this.locals.delete(id);
    this.background.lookWhetherIdle();
  }

  inBackground(work: Promise<void>): void {
    this.background.add(work);
  }

  private async lookAgain(request: OperationRequest, first: Awaitable<Look>): Promise<Beginning> {
    const waiting: Waiting = { startedAtMs: this.clock.now(), round: 0 };
    let look = await first;
    while (look === LOOK_AGAIN) {
      look =
        request.isWanted?.() === false
          ? this.answers.refuse(request, 'IDEMPOTENCY_KEY_IN_USE')
          : await this.look(request, waiting);
    }
    if (waiting.round > 0 && this.events.hasListeners) {
      const durationMs = this.clock.now() - waiting.startedAtMs;
      this.events.emit({ type: 'waited', ...subjectOf(request), durationMs });
    }
    return look;
  }

  /** One look at the operation: joins the call of this process, or asks the store. */
  private look(request: OperationRequest, waiting: Waiting | undefined): Awaitable<Look> {
    const { id, fingerprint } = request;
    const local = this.locals.get(id);
    if (local !== undefined) return this.join(request, local, waiting);
    const reply = this.replays?.get(id, fingerprint);
    return reply === undefined
      ? this.acquire(request, waiting)
      : this.answers.duplicate(request, reply);
  }

  private acquire(request: OperationRequest, waiting: Waiting | undefined): Awaitable<Look> {
    const local = new LocalCall(request.fingerprint);
    const asking: Asking = { request, local, owner: newOwner(), askedAtMs: this.clock.now() };
    const isLeased = request.transaction === undefined;
    if (isLeased && this.deferred.isFull)
      return this.answers.storeFailed(request, new StoreUnavailableError(TOO_MUCH_WAITS));
    const source = isLeased ? this.leases : this.transactions;
    this.locals.set(request.id, local);
    let answer: Awaitable<Claimed | Refusing | undefined>;
    try {
      answer = source.claim(asking);
    } catch (cause) {
      return this.failed(asking, cause);
    }
    return isPending(answer)
      ? Promise.resolve(answer).then(
          (late) => this.answered(asking, late, waiting),
          (cause: unknown) => this.failed(asking, cause),
        )
      : this.answered(asking, answer, waiting);
  }

  private answered(
    { request, local, askedAtMs }: Asking,
    answer: Claimed | Refusing | undefined,
    waiting: Waiting | undefined,
  ): Awaitable<Look> {
    if (answer === undefined) {
      this.closed(request.id, local);
      local.end();
      return this.answers.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    }
    if (answer.outcome !== 'claimed') {
      if (answer.outcome === 'completed') this.replays?.learn(request, answer, askedAtMs);
      this.closed(request.id, local);
      local.answer(answer);
      return this.consider(request, answer, waiting);
    }
    const { claim, takenOver } = answer;
    local.run();
    if (this.events.hasListeners) {
      const { attempt, fencingToken } = claim;
      const type = takenOver === undefined ? 'claimed' : 'taken-over';
      this.events.emit({ type, ...subjectOf(request), attempt, fencingToken });
    }
    const { maxAttempts } = request.policy;
    if (maxAttempts !== undefined && claim.attempt > maxAttempts.times)
      return this.exhausted(request, claim, maxAttempts, takenOver !== undefined);
    return takenOver !== undefined && wantsInquiry(request)
      ? this.recover(request, takenOver)
      : execute(claim);
  }

  /**
   * Deletes a record, and what this process still knows of it.
   *
   * @throws {@link StoreUnavailableError}
   */
  forget(id: string, store = this.calls.store): Awaitable<boolean> {
    this.replays?.forget(id);
    return chain(
      this.calls.call('forget', () => store.forget(id)),
      (isGone) => {
        // A duplicate may have read it in the meantime.
        this.replays?.forget(id);
        return isGone;
      },
    );
  }

  /** The last attempt never ended, or its failure changed nothing. Nothing runs any more. */
  private async exhausted(
    request: OperationRequest,
    claim: Claim,
    { times, afterwards }: AttemptLimit,
    isAbandoned: boolean,
  ): Promise<Look> {
    // A failure of the last attempt was published when it happened.
    if (isAbandoned || afterwards !== 'reject') this.reportExhausted(request, claim.attempt);
    if (afterwards === 'reject') {
      await claim.withdraw();
      return this.answers.refuse(request, 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED');
    }
    const settlement = await claim.hold(withoutEnd(times));
    if (settlement.outcome === 'superseded') return this.answers.replay(request, settlement.reply);
    return settlement.outcome === 'lost'
      ? LOOK_AGAIN
      : this.answers.refuse(request, 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED');
  }

  /** Publishes that an operation will not be attempted again. */
  reportExhausted(operation: Parameters<typeof subjectOf>[0], attempt: number): void {
    if (this.events.hasListeners)
      this.events.emit({ type: 'exhausted', ...subjectOf(operation), attempt });
  }

  private failed({ request, local }: Asking, cause: unknown): Beginning {
    this.closed(request.id, local);
    local.fail(cause);
    return this.answers.storeFailed(request, cause);
  }

  /** The last owner stopped renewing its lease: find out what it did, hold, or run again. */
  private async recover(request: OperationRequest, claim: LeasedClaim): Promise<Look> {
    const { attempt, steps } = claim;
    let decision;
    try {
      decision = (await request.recover?.({ attempt, steps })) ?? request.policy.onAbandoned;
    } catch (error) {
      claim.abandon();
      throw error;
    }
    if (decision === 'rerun') return claim.isLost ? LOOK_AGAIN : execute(claim);
    const settlement = await (decision === 'hold'
      ? claim.hold('abandoned')
      : claim.complete(decision));
    if (settlement.outcome === 'lost') return LOOK_AGAIN;
    if (settlement.outcome === 'superseded') {
      return this.answers.replay(request, settlement.reply);
    }
    return decision === 'hold'
      ? this.answers.refuse(request, 'IDEMPOTENCY_OUTCOME_UNKNOWN')
      : this.answers.replay(request, decision);
  }

  /** A duplicate within this process. */
  private join(
    request: OperationRequest,
    local: LocalCall,
    waiting: Waiting | undefined,
  ): Awaitable<Look> {
    const { phase } = local;
    const again = (): Awaitable<Look> => this.join(request, local, waiting);
    switch (phase.name) {
      case 'acquiring':
        return new Promise<void>((resolve) => void local.onChange(resolve)).then(again);
      case 'gone':
        return LOOK_AGAIN;
      case 'failed':
        return this.answers.storeFailed(request, phase.cause);
      case 'answered':
        // The store may have another answer for other content.
        return request.fingerprint === local.fingerprint
          ? this.consider(request, phase.result, waiting)
          : LOOK_AGAIN;
      case 'running':
      case 'replied':
        if (
          !fingerprintsMatch(request.fingerprint, local.fingerprint) &&
          request.accepts?.(local.fingerprint) !== true
        ) {
          return this.answers.reused(request, local.fingerprint);
        }
        return phase.name === 'replied'
          ? this.answers.duplicate(request, phase.reply)
          : this.wait(request, waiting, (wake) => local.onChange(wake), again);
    }
  }

  /** Answers a call that does not own the record. */
  private consider(
    request: OperationRequest,
    result: Refusing,
    waiting: Waiting | undefined,
  ): Awaitable<Look> {
    const { id } = request;
    switch (result.outcome) {
      case 'completed':
        return this.answers.duplicate(request, result.reply);
      case 'mismatch':
        return request.accepts?.(result.fingerprint) === true
          ? this.look({ ...request, fingerprint: result.fingerprint, accepts: undefined }, waiting)
          : this.answers.reused(request, result.fingerprint);
      case 'held':
        return this.answers.refuse(request, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      case 'unknown':
        return this.answers.refuse(request, request.refuseUnknown ?? 'IDEMPOTENCY_KEY_INVALID');
      case 'limited':
        return this.answers.limited(request, result);
      case 'unreadable':
        return this.answers.refuse(request, 'IDEMPOTENCY_RECORD_UNREADABLE', result);
      case 'in-flight':
        return this.wait(
          request,
          waiting,
          (wake, round) => this.rounds.join(id, round, result.leaseRemainingMs, wake),
          () => LOOK_AGAIN,
        );
    }
  }

  /** Waits for a change, no longer than the policy says, then looks again. */
  private wait(
    request: OperationRequest,
    waiting: Waiting | undefined,
    subscribe: (wake: () => void, round: number) => () => void,
    again: () => Awaitable<Look>,
  ): Awaitable<Look> {
    const { waitMs } = request.policy;
    // The first look has no clock running yet: it starts with the look that follows.
    if (waiting === undefined && waitMs > 0) return LOOK_AGAIN;
    const remainingMs = waiting === undefined ? 0 : waiting.startedAtMs + waitMs - this.clock.now();
    if (waiting === undefined || remainingMs <= 0) {
      return this.answers.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    }
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        cancel();
        leave();
        resolve();
      };
      const cancel = this.clock.after(remainingMs, wake);
      const leave = subscribe(wake, waiting.round++);
    }).then(again);
  }
}

function execute(claim: Claim): Beginning {
  claim.handOver();
  return { outcome: 'execute', claim };
}
