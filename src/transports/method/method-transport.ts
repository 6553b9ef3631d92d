import { Injectable, Logger, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { isObservable } from 'rxjs';
import { isNotYet } from '../../calls/failure.js';
import { type Outcome, ValueTransport } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { chain } from '../../engine/awaitable.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { type IdempotencyErrorCode, REFUSALS } from '../../engine/refusals.js';
import { checkArguments } from '../../handlers/delivery-check.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { notProtected, observableReturned } from '../../handlers/not-protected.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { failForGood, isNotNow, postpone } from '../../keys/jobs.js';
import { handlerRuns } from '../../operation/handler-run.js';
import { adopt, type CalledMethod, type MethodCaller, started, stopped } from './instances.js';
import { MethodCall } from './methods.js';

/** Refusals that mean that another call has done the work, or is doing it. */
const DONE_ELSEWHERE: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  'IDEMPOTENCY_KEY_IN_USE',
  'IDEMPOTENCY_DUPLICATE',
]);
/** The same, or that the work is no longer wanted. */
const NOT_NEEDED: ReadonlySet<IdempotencyErrorCode> = new Set<IdempotencyErrorCode>([
  ...DONE_ELSEWHERE,
  'IDEMPOTENCY_REPLY_NOT_KEPT',
  'IDEMPOTENCY_STATE_CONFLICT',
  'IDEMPOTENCY_VERSION_CONFLICT',
]);

/** Calls of a provider method: a service, a scheduled job, a queue's processor. */
@Injectable()
export class MethodTransport
  extends ValueTransport<MethodCall>
  implements MethodCaller, OnModuleInit, OnApplicationShutdown
{
  /** Methods that returned an observable. None of them is called again. */
  private readonly observed = new WeakSet<object>();
  private readonly logger = new Logger('Idempotency');

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    private readonly handlers: HandlerRegistry,
    private readonly discovery: DiscoveryService,
  ) {
    super(engine, operations);
  }

  /** Nest injects nothing into instances that it did not create. */
  onModuleInit(): void {
    started(this);
    for (const { isNotMetatype, instance } of this.discovery.getProviders())
      if (isNotMetatype) adopt(instance, this);
  }

  onApplicationShutdown(): void {
    stopped(this);
  }

  call(called: CalledMethod, run: () => unknown): unknown {
    return chain(this.handlers.ofMethod(called.method, called.instance), (protection) => {
      switch (protection) {
        case 'safe':
          return run();
        case 'framework':
          return this.within(called, run);
        default:
          return this.protect(protection, called, run);
      }
    });
  }

  /** A method that calls itself for the same operation continues it. */
  override joins(id: string): boolean {
    return handlerRuns.getStore()?.isPartOf(id) === true;
  }

  /**
   * A handler that the application itself calls. It runs as part of a running operation, or not at
   * all.
   */
  private within({ instance, name }: CalledMethod, run: () => unknown): unknown {
    if (handlerRuns.getStore()?.isProtected === true) return run();
    throw notProtected(
      `${(instance as object).constructor.name}.${String(name)}`,
      'it handles requests, messages or fields, and was called directly. Move the shared work into a provider method, and protect that method. If a framework has called it, list its class itself among the providers, because Nest attaches no interceptors to what a factory makes.',
    );
  }

  private async protect(
    handler: ProtectedHandler,
    { method, instance, name, args }: CalledMethod,
    run: () => unknown,
  ): Promise<unknown> {
    if (this.observed.has(method)) throw observableReturned(handler.name);
    const call = new MethodCall(handler.scope, args, handler.isProcessor);
    checkArguments(args, handler);
    const value = (returned: unknown): unknown => {
      if (!isObservable(returned)) return returned;
      this.observed.add(method);
      throw observableReturned(handler.name);
    };
    const work = async (): Promise<unknown> =>
      handlerRuns.getStore()!.follow(() => chain(run(), value), { instance, name });
    let outcome: Outcome;
    try {
      return await this.run(
        call,
        handler,
        work,
        (decided) => (outcome = decided),
        async () => run(),
      );
    } catch (error) {
      // Another instance runs the tick. The timer that called would only log an error.
      if (handler.isScheduled && isDuplicate(outcome, DONE_ELSEWHERE)) return undefined;
      // Nothing has failed: another worker has the job, or the store is down.
      if (call.isOfJob && isForLater(outcome))
        await postpone(args[0], args[1], handler.policy.retryAfterMs);
      if (call.isOfJob && isExhausted(outcome, error)) throw failForGood(args[0], error);
      if (!handler.listens || !isDuplicate(outcome, NOT_NEEDED)) throw error;
      this.logger.warn(dropped(call.scope, outcome));
      return undefined;
    }
  }
}

/** What the log says about an event that somebody else handles, or has handled. */
function dropped(scope: string, outcome: Outcome): string {
  const code = outcome?.outcome === 'refused' ? outcome.code : 'a failure that is on record';
  return `An event was not handled again on ${scope}: ${code}.`;
}

/** True if no attempt is left: the last one has failed now, or had begun earlier. */
function isExhausted(outcome: Outcome, error: unknown): boolean {
  if (outcome?.outcome === 'execute')
    return outcome.claim.ifFails !== undefined && !isNotNow(error, true) && !isNotYet(error);
  return outcome?.outcome === 'refused' && outcome.code === 'IDEMPOTENCY_ATTEMPTS_EXHAUSTED';
}

/** True for a refused call that may run later. */
function isForLater(outcome: Outcome): boolean {
  return outcome?.outcome === 'refused' && REFUSALS[outcome.code].retryable;
}

/** True for a call that was answered from the record, or refused with one of the codes. */
function isDuplicate(outcome: Outcome, codes: ReadonlySet<IdempotencyErrorCode>): boolean {
  return outcome?.outcome === 'refused' ? codes.has(outcome.code) : outcome?.outcome === 'replay';
}
