import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import { FieldCall } from './fields.js';
import { GRAPHQL_FAILURES, GraphqlErrors } from './graphql-errors.js';
import { ObjectTypes } from './object-types.js';

/** Calls that come in as fields of a mutation. */
@Injectable()
export class GraphqlTransport extends ValueInterceptor<FieldCall> {
  readonly kind = 'graphql';
  protected override readonly failures = GRAPHQL_FAILURES;

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
}
