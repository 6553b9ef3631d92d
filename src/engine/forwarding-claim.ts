import type { Awaitable } from './awaitable.js';
import type { Claim, SaveStepOptions, Settlement } from './claim.js';
import type { Steps } from './store.js';
import type { OperationManager } from './transaction.js';

/** A claim that adds something to another one. */
export abstract class ForwardingClaim implements Claim {
  constructor(protected readonly inner: Claim) {}

  get id(): string {
    return this.inner.id;
  }

  get attempt(): number {
    return this.inner.attempt;
  }

  get fencingToken(): number {
    return this.inner.fencingToken;
  }

  get steps(): Steps {
    return this.inner.steps;
  }

  get isRunning(): boolean {
    return this.inner.isRunning;
  }

  get keepsReply(): boolean {
    return this.inner.keepsReply;
  }

  get signal(): AbortSignal {
    return this.inner.signal;
  }

  get manager(): OperationManager | undefined {
    return this.inner.manager;
  }

  confirm(): Awaitable<boolean> {
    return this.inner.confirm();
  }

  handOver(): void {
    this.inner.handOver();
  }

  run<T>(work: () => T): T {
    return this.inner.run(work);
  }

  setRetention(retentionMs: number): void {
    this.inner.setRetention(retentionMs);
  }

  complete(reply: Uint8Array): Awaitable<Settlement> {
    return this.inner.complete(reply);
  }

  fail(reply: Uint8Array): Awaitable<Settlement> {
    return this.inner.fail(reply);
  }

  release(): Awaitable<void> {
    return this.inner.release();
  }

  hold(reason: string): Awaitable<Settlement> {
    return this.inner.hold(reason);
  }

  saveStep(name: string, value: Uint8Array, options?: SaveStepOptions): Awaitable<boolean> {
    return this.inner.saveStep(name, value, options);
  }
}
