import { type ExecutionContext, Injectable } from '@nestjs/common';
import { ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { ReplyValues } from '../../replies/values.js';
import { FieldCall } from './fields.js';
import { GRAPHQL_FAILURES, GraphqlErrors } from './graphql-errors.js';
import { ObjectTypes } from './object-types.js';
import { type FieldInfo, leafReader, placeOf } from './schema-place.js';

/** Calls that come in as fields of a mutation. */
@Injectable()
export class GraphqlTransport extends ValueInterceptor<FieldCall> {
  readonly kind = 'graphql';
  protected override readonly failures = GRAPHQL_FAILURES;

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    protected override readonly errors: GraphqlErrors,
    private readonly objectTypes: ObjectTypes,
  ) {
    super(engine, operations);
  }

  protected override read(context: ExecutionContext, { scope }: ProtectedHandler): FieldCall {
    const [, args, graphqlContext, info] =
      context.getArgs<[unknown, unknown, unknown, FieldInfo]>();
    return new FieldCall(scope, args, graphqlContext, info);
  }

  /** What the resolver returned, from which the schema selects. Scalars say what is kept of the rest. */
  protected override values({ info }: FieldCall, { values }: ProtectedHandler): ReplyValues {
    const known = { ...values, types: this.objectTypes.with(values.types) };
    return { ...known, place: placeOf(info, known), leaf: leafReader(info) };
  }
}
