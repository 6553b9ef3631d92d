import { AsyncResource } from 'node:async_hooks';
import { type CallHandler, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { defer, lastValueFrom, type Observable } from 'rxjs';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { IdempotencyErrorCode } from '../../engine/refusals.js';
import {
  type IdempotencyException,
  isIdempotencyError,
} from '../../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../../options/module-definition.js';
import type { IdempotencyModuleOptions } from '../../options/idempotency.options.js';
import { DirectEntry, type RunningCall } from '../direct-entry.js';
import { type Entry, Operations, type RefusalReason } from '../operations.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { reportedException } from '../reported-exception.js';
import { encodeRecoveredValue } from '../recovery-call.js';
import { FieldCall } from './field-call.js';
import { GraphqlErrors } from './graphql-errors.js';
import { ObjectTypes } from './object-types.js';

/** The way of a call that came in as a field of a mutation. */
@Injectable()
export class GraphqlEntry implements Entry<FieldCall> {
  readonly encodeRecovered = encodeRecoveredValue;
  private readonly problemBaseUrl: string | undefined;
  private readonly operations = new Operations<FieldCall>(this);
  private readonly taken = new WeakSet<ExecutionContext>();

  constructor(
    readonly engine: IdempotencyEngine,
    private readonly direct: DirectEntry,
    private readonly errors: GraphqlErrors,
    private readonly types: ObjectTypes,
    @Inject(MODULE_OPTIONS_TOKEN) options: IdempotencyModuleOptions,
  ) {
    this.problemBaseUrl = options.problemBaseUrl;
  }

  /** Claims, then runs, replays or refuses; what the resolver returns leaves once it is on record. */
  intercept(
    context: ExecutionContext,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Observable<unknown> {
    // Registered globally as well: the first one has claimed.
    if (this.taken.has(context)) return next.handle();
    this.taken.add(context);
    const [, args, graphqlContext] = context.getArgs<[unknown, unknown, unknown]>();
    const call = new FieldCall(handler.scope, args, graphqlContext);
    return defer(AsyncResource.bind(() => this.run(call, next, handler)));
  }

  exception(
    { scope }: FieldCall,
    code: IdempotencyErrorCode,
    reason: RefusalReason,
  ): IdempotencyException {
    return reportedException(scope, code, reason, this.problemBaseUrl);
  }

  private async run(
    call: FieldCall,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Promise<unknown> {
    try {
      return await this.answer(call, next, handler);
    } catch (error) {
      throw isIdempotencyError(error) ? this.errors.refusal(error) : error;
    }
  }

  private async answer(
    call: FieldCall,
    next: CallHandler,
    handler: ProtectedHandler,
  ): Promise<unknown> {
    const begun = await this.operations.begin(call, handler);
    const { types: values, errors } = this;
    const { key, scope, principal } = call;
    const { policy, method } = handler;
    const onError = this.errors.decision(handler.onError ?? begun?.onError);
    const known = { key, scope, principal, policy, method };
    const running: RunningCall = { ...known, onError, values, errors, endings: begun };
    const work = (): Promise<unknown> => lastValueFrom(next.handle(), { defaultValue: undefined });
    return begun === undefined || begun.beginning.outcome === 'joined'
      ? this.direct.runUnprotected(running, work)
      : this.direct.goOn(begun.beginning, running, work);
  }
}
