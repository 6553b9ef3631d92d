import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { IdempotentOptions } from '../../options/idempotency.options.js';
import { FieldCall } from './fields.js';
import { GraphqlErrors } from './graphql-errors.js';
import { ObjectTypes } from './object-types.js';

/** Calls that come in as fields of a mutation. */
@Injectable()
export class GraphqlTransport extends ValueInterceptor<FieldCall> {
  readonly kind = 'graphql';

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    protected override readonly errors: GraphqlErrors,
    protected override readonly values: ObjectTypes,
  ) {
    super(engine, operations);
  }

  protected override read(context: ExecutionContext, { scope }: ProtectedHandler): FieldCall {
    const [, args, graphqlContext] = context.getArgs<[unknown, unknown, unknown]>();
    return new FieldCall(scope, args, graphqlContext);
  }

  protected override decision(onError: IdempotentOptions['onError']): IdempotentOptions['onError'] {
    return this.errors.decision(onError);
  }
}
