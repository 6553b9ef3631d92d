import { Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { isObservable } from 'rxjs';
import { type Outcome, ValueTransport } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { chain } from '../../engine/awaitable.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { notProtected, observableReturned } from '../../handlers/not-protected.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { handlerRuns } from '../../operation/handler-run.js';
import { adopt, type CalledMethod, type MethodCaller, started, stopped } from './instances.js';
import { MethodCall } from './methods.js';

/** Calls of a provider method: a service, a scheduled job, a queue's processor. */
@Injectable()
export class MethodTransport
  extends ValueTransport<MethodCall>
  implements MethodCaller, OnModuleInit, OnApplicationShutdown
{
  /** Methods that returned an observable. None of them is called again. */
  private readonly observed = new WeakSet<object>();

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
      'it handles requests, messages or fields, and was called directly. Move the shared work into a provider method, and protect that method.',
    );
  }

  private async protect(
    handler: ProtectedHandler,
    { method, instance, name, args }: CalledMethod,
    run: () => unknown,
  ): Promise<unknown> {
    if (this.observed.has(method)) throw observableReturned(handler.name);
    const call = new MethodCall(handler.scope, args, handler.content?.(args));
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
      if (handler.isScheduled && isDuplicate(outcome)) return undefined;
      throw error;
    }
  }
}

/** True if another call has done the work, or is doing it. */
function isDuplicate(outcome: Outcome): boolean {
  if (outcome?.outcome !== 'refused') return outcome?.outcome === 'replay';
  const { code } = outcome;
  return code === 'IDEMPOTENCY_KEY_IN_USE' || code === 'IDEMPOTENCY_DUPLICATE';
}
