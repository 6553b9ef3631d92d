import type { Awaitable } from './awaitable.js';

/** Asks for a lock. */
export interface LockRequest {
  /** Names the lock: `sha256(scope, principal, key)` in hexadecimal. A lock service sees no key. */
  readonly id: string;
  /**
   * How long the lock lasts after its holder stops renewing it, in milliseconds. A service with
   * {@link LockService.decidesLease} has its own.
   */
  readonly leaseMs: number;
  /** False to be refused at once if somebody else holds the lock. */
  readonly waits: boolean;
  /** Aborted when nobody waits for the lock any more. Then the place in the queue is given up. */
  readonly signal: AbortSignal;
  /** Called when the request begins to wait. */
  readonly onWait: () => void;
}

/** A lock, as its holder sees it. */
export interface HeldLock {
  /** The service's own order: grows with every holder of this lock. A safe integer. */
  readonly fencingToken: number;
  /** True once somebody else may hold the lock. Never false again. */
  readonly isLost: boolean;
  /**
   * Aborted when the lock is lost. That is before the service can give it to somebody else, as long
   * as this process runs: a process that was paused finds out when it continues.
   */
  readonly signal: AbortSignal;
  /**
   * Whether the lock is still held. Costs nothing while the lease lasts by the clock of this process;
   * later, the service is asked.
   *
   * @throws when the service does not answer
   */
  confirm(): Awaitable<boolean>;
  /**
   * Gives the lock to the next one in the queue. Never touches the lock of another holder. It may be
   * repeated after it has thrown.
   *
   * @returns `false` if the lock was lost before
   */
  release(): Awaitable<boolean>;
}

/**
 * Where the locks of strategy `lock` are kept, if that is not the store.
 *
 * The numbered guarantees that an implementation must keep are `lockContract` in
 * `nestjs-idempotency/testing`; run it against a real server.
 */
export interface LockService {
  /**
   * Waits for the lock in a queue that all processes share.
   *
   * @returns `undefined` if somebody else holds the lock and the request does not wait, or no longer
   * @throws if the service cannot be reached. A place in the queue that it may have taken all the same
   *   is given up
   */
  acquire(request: LockRequest): Promise<HeldLock | undefined>;
  /** True if the lease is not that of a request, but of the client's session. */
  readonly decidesLease?: boolean;
  /**
   * Called once when the application boots. A service that cannot be reached yet only warns.
   *
   * @throws if it can never give locks
   */
  start?(warn: (warning: string) => void): Awaitable<void>;
  /** Called once when the application has shut down. Clients that were handed in are left open. */
  close?(): Awaitable<void>;
  /** True if it locks within this process only. In production, it must be allowed explicitly. */
  readonly isVolatile?: boolean;
}
