import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService } from '@nestjs/core';
import { isObservable, lastValueFrom } from 'rxjs';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { Beginning } from '../../engine/operation.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import type { IdempotencyException } from '../../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../../options/module-definition.js';
import type { IdempotencyModuleOptions } from '../../options/idempotency.options.js';
import { DirectEntry } from '../direct-entry.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import { handlerRuns } from '../../operation/handler-run.js';
import { type Entry, Operations, type RefusalReason } from '../operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { reportedException } from '../reported-exception.js';
import { encodeRecoveredValue } from '../recovery-call.js';
import { adopt, type InstanceEntry } from './instance-entry.js';
import { MethodCall } from './method-call.js';

/** The way of a call of a provider's method: a service, a scheduled job, a queue's processor. */
@Injectable()
export class MethodEntry implements Entry<MethodCall>, InstanceEntry, OnModuleInit {
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
    for (const { isNotMetatype, instance } of this.discovery.getProviders())
      if (isNotMetatype) adopt(instance, this);
  }

  /**
   * Runs the method once per key; `undefined` when it is a handler that frameworks call, which
   * only they protect.
   *
   * @param method what `@Idempotent()` made of it
   */
  call(
    method: object,
    instance: object,
    args: readonly unknown[],
    run: () => unknown,
  ): Promise<unknown> | undefined {
    const handler = this.handlers.ofMethod(method, instance);
    if (handler === undefined) return undefined;
    return this.run(handler, new MethodCall(handler.scope, args, handler.content?.(args)), run);
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

  private async run(
    handler: ProtectedHandler,
    call: MethodCall,
    run: () => unknown,
  ): Promise<unknown> {
    const work = async (): Promise<unknown> => {
      const value = await run();
      return isObservable(value) ? lastValueFrom(value, { defaultValue: undefined }) : value;
    };
    const begun = await this.operations.begin(call, handler);
    const { key, scope, principal } = call;
    const { policy, onError } = handler;
    const running = { key, scope, principal, policy, onError, endings: begun };
    if (begun === undefined) return this.direct.runUnprotected(running, work);
    const { beginning } = begun;
    if (beginning.outcome === 'joined') return work();
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
