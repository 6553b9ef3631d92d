import { type ExecutionContext, Injectable, Logger } from '@nestjs/common';
import { NamelessClients } from '../../calls/connections.js';
import { ValueInterceptor } from '../../calls/value-transport.js';
import { ValueOperations } from '../../calls/value-operations.js';
import { IdempotencyEngine } from '../../engine/engine.js';
import { HandlerResolver } from '../../handlers/handler-resolver.js';
import type { ProtectedHandler } from '../../handlers/protected-handler.js';
import type { ReplyValues } from '../../replies/values.js';
import { FieldCall } from './fields.js';
import { GRAPHQL_FAILURES, GraphqlErrors } from './graphql-errors.js';
import { ObjectTypes } from './object-types.js';
import { type FieldInfo, leafReader, placeOf } from './schema-place.js';

const REMEDY =
  'Put the user on extra.user when the client connects (onConnect), set the option principal, or have clients send a secret in connectionParams.';

/** Calls that come in as fields of a mutation. */
@Injectable()
export class GraphqlTransport extends ValueInterceptor<FieldCall> {
  readonly kind = 'graphql';
  protected override readonly failures = GRAPHQL_FAILURES;
  private readonly nameless: NamelessClients;

  constructor(
    engine: IdempotencyEngine,
    operations: ValueOperations,
    protected override readonly errors: GraphqlErrors,
    private readonly objectTypes: ObjectTypes,
    resolver: HandlerResolver,
  ) {
    super(engine, operations);
    this.nameless = new NamelessClients(resolver.credentials, new Logger('Idempotency'));
  }

  /** Called for a field that came over a web socket whose client cannot be told apart from others. */
  unknownCaller(call: FieldCall, handler: ProtectedHandler): void {
    this.nameless.notice(call, handler, REMEDY);
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
