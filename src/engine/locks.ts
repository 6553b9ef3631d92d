import type { Answers } from './answers.js';
import type { CancelTimer } from './clock.js';
import { subjectOf } from './events.js';
import { LockServiceError, within } from './leased-lock.js';
import { giveUpLock, LockClaim, type LockSurroundings } from './lock-claim.js';
import type { HeldLock, LockRequest, LockService } from './lock-service.js';
import type { Beginning, OperationRequest } from './operation.js';
import { LocalCall } from './waiting.js';

/** What locks need of the engine. */
export interface LocksSurroundings extends LockSurroundings {
  opened(id: string, local: LocalCall): void;
  closed(id: string, local: LocalCall): void;
}

/** The calls of this process that want one lock: the first asks for it or has it, the others wait. */
interface Line {
  readonly local: LocalCall;
  readonly waiting: Set<() => void>;
}

/**
 * Begins the operations of strategy `lock` with the locks of a lock service. Of the calls in one
 * process, one at a time stands in the service's queue; the others wait here, in their order.
 */
export class Locks {
  private readonly lines = new Map<string, Line>();

  constructor(
    private readonly service: LockService,
    private readonly around: LocksSurroundings,
    private readonly answers: Answers,
  ) {}

  async begin(request: OperationRequest): Promise<Beginning> {
    const { clock, events } = this.around;
    const { id, policy } = request;
    const startedAtMs = clock.now();
    const remainingMs = (): number => Math.max(0, startedAtMs + policy.waitMs - clock.now());
    let hasWaited = false;
    const onWait = (): void => void (hasWaited = true);
    if (!(await this.turn(id, remainingMs(), onWait)))
      return this.answers.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    let held: HeldLock | undefined;
    try {
      held = isWanted(request) ? await this.ask(request, remainingMs(), onWait) : undefined;
    } catch (cause) {
      this.leave(id);
      return this.answers.storeFailed(request, cause);
    }
    if (hasWaited && events.hasListeners)
      events.emit({
        type: 'waited',
        ...subjectOf(request),
        durationMs: clock.now() - startedAtMs,
      });
    if (held === undefined) {
      this.leave(id);
      return this.answers.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    }
    const claim = new LockClaim(this.around, request, held, () => this.leave(id));
    if (!isWanted(request)) {
      await claim.withdraw();
      return this.answers.refuse(request, 'IDEMPOTENCY_KEY_IN_USE');
    }
    const { attempt, fencingToken } = claim;
    if (events.hasListeners)
      events.emit({ type: 'claimed', ...subjectOf(request), attempt, fencingToken });
    claim.handOver();
    return { outcome: 'execute', claim };
  }

  /** Waits for the calls of this process that came before. `false`: that took too long. */
  private turn(id: string, waitMs: number, onWait: () => void): boolean | Promise<boolean> {
    const line = this.lines.get(id);
    if (line === undefined) {
      const local = new LocalCall('');
      this.lines.set(id, { local, waiting: new Set() });
      this.around.opened(id, local);
      return true;
    }
    if (waitMs === 0) return false;
    onWait();
    return new Promise<boolean>((resolve) => {
      const begin = (): void => {
        cancel();
        resolve(true);
      };
      const cancel = this.around.clock.after(waitMs, () => {
        line.waiting.delete(begin);
        resolve(false);
      });
      line.waiting.add(begin);
    });
  }

  private leave(id: string): void {
    const line = this.lines.get(id);
    if (line === undefined) return;
    const [next] = line.waiting;
    if (next === undefined) {
      this.lines.delete(id);
      this.around.closed(id, line.local);
      return;
    }
    line.waiting.delete(next);
    next();
  }

  private async ask(
    request: OperationRequest,
    waitMs: number,
    onWait: () => void,
  ): Promise<HeldLock | undefined> {
    const { clock, calls } = this.around;
    const { leaseMs } = request.policy;
    const gone = new AbortController();
    const askedAtMs = clock.now();
    let cancel: CancelTimer | undefined;
    const asked: LockRequest = {
      id: request.id,
      leaseMs,
      waits: waitMs > 0,
      signal: gone.signal,
      onWait: () => {
        cancel ??= clock.after(askedAtMs + waitMs - clock.now(), () => gone.abort());
        onWait();
      },
    };
    try {
      const answer = this.service.acquire(asked);
      const held = await within(clock, waitMs + calls.timeoutMs, answer, (late) =>
        this.giveUp(late),
      );
      if (held === undefined || (await this.isStillHeld(held))) return held;
      this.giveUp(held);
    } catch (cause) {
      gone.abort();
      throw cause;
    } finally {
      cancel?.();
    }
    throw new LockServiceError('The lock was lost before anything began.');
  }

  /** The process may have been paused before it read the answer. */
  private async isStillHeld(held: HeldLock): Promise<boolean> {
    const { clock, calls } = this.around;
    try {
      return await within(clock, calls.timeoutMs, Promise.resolve(held.confirm()));
    } catch (cause) {
      this.giveUp(held);
      throw cause;
    }
  }

  /** Nobody will use the lock, because its caller has been refused. */
  private giveUp(held: HeldLock | undefined): void {
    if (held !== undefined) this.around.inBackground(giveUpLock(this.around, held));
  }
}

function isWanted(request: OperationRequest): boolean {
  return request.isWanted?.() !== false;
}
