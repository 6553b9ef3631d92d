import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { chain } from '../../engine/awaitable.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { Beginning } from '../../engine/operation.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../../options/module-definition.js';
import type { IdempotencyModuleOptions } from '../../options/idempotency.options.js';
import { DirectEntry } from '../direct-entry.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { notProtected } from '../../handlers/not-protected.js';
import { handlerRuns } from '../../operation/handler-run.js';
import { type Entry, Operations, type RefusalReason } from '../operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { reportedException } from '../reported-exception.js';
import { encodeRecoveredValue } from '../recovery-call.js';
import {
  adopt,
  type InstanceCall,
  type InstanceEntry,
  started,
  stopped,
} from './instance-entry.js';
import { MethodCall } from './method-call.js';

/** The way of a call of a provider's method: a service, a scheduled job, a queue's processor. */
@Injectable()
export class MethodEntry
  implements Entry<MethodCall>, InstanceEntry, OnModuleInit, OnApplicationShutdown
{
  readonly encodeRecovered = encodeRecoveredValue;
  private readonly problemBaseUrl: string | undefined;
  private readonly operations = new Operations<MethodCall>(this);

  constructor(
    readonly engine: IdempotencyEngine,
    private readonly direct: DirectEntry,
    private readonly handlers: HandlerRegistry,
    private readonly discovery: DiscoveryService,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.problemBaseUrl = options.problemBaseUrl;
  }

  /** Nest injects nothing into instances that it has not made. */
  onModuleInit(): void {
    started(this);
    for (const { isNotMetatype, instance } of this.discovery.getProviders())
      if (isNotMetatype) adopt(instance, this);
  }

  onApplicationShutdown(): void {
    stopped(this);
  }

  call(called: InstanceCall, run: () => unknown): unknown {
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

  exception(
    { scope }: MethodCall,
    code: IdempotencyErrorCode,
    reason: RefusalReason,
  ): IdempotencyException {
    return reportedException(scope, code, reason, this.problemBaseUrl);
  }

  /** A method that calls itself for the same operation goes on with it. */
  joins(id: string): boolean {
    return handlerRuns.getStore()?.isPartOf(id) === true;
  }

  /** A handler that its own application calls: a part of the operation that runs, or nothing. */
  private within({ instance, name }: InstanceCall, run: () => unknown): unknown {
    if (handlerRuns.getStore()?.isProtected === true) return run();
    throw notProtected(
      `${(instance as object).constructor.name}.${String(name)}`,
      'it handles requests, messages or fields, and was called directly. Move what both need into a method of a provider, and protect that one.',
    );
  }

  private async protect(
    handler: ProtectedHandler,
    { instance, name, args }: InstanceCall,
    run: () => unknown,
  ): Promise<unknown> {
    const call = new MethodCall(handler.scope, args, handler.content?.(args));
    const begun = await this.operations.begin(call, handler);
    const { key, scope, principal } = call;
    const { policy, onError, method } = handler;
    const running = { key, scope, principal, policy, onError, method, endings: begun };
    const work = async (): Promise<unknown> => {
      const value = await handlerRuns.getStore()!.follow(run, { instance, name });
      return isObservable(value) ? lastValueFrom(value, { defaultValue: undefined }) : value;
    };
    if (begun === undefined) return this.direct.runUnprotected(running, work);
    const { beginning } = begun;
    if (beginning.outcome === 'joined') return run();
    const result = this.direct.goOn(beginning, running, work);
    // Another instance sees to it: the timer that called would only log what it is told.
    return handler.isScheduled && isDuplicate(beginning) ? result.catch(() => undefined) : result;
  }
}

/** True when the work is done, or being done, by another call. */
function isDuplicate(beginning: Beginning): boolean {
  if (beginning.outcome !== 'refused') return beginning.outcome === 'replay';
  const { code } = beginning;
  return code === 'IDEMPOTENCY_KEY_IN_USE' || code === 'IDEMPOTENCY_DUPLICATE';
}
