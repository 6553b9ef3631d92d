import { HttpException, Injectable, type OnModuleInit } from '@nestjs/common';
import {
  type IdempotencyException,
  isIdempotencyError,
} from '../../operation/idempotency.exception.js';
import { type FailureForm, isDeterministic, statusOf } from '../../calls/failure.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import type { ErrorForm } from '../../calls/value-operations.js';

type Extensions = Readonly<Record<string, unknown>>;

/** The part of `graphql` that is used. It is installed if there is a resolver. */
interface Graphql {
  readonly GraphQLError: new (
    message: string,
    options: { extensions: Extensions | undefined },
  ) => Error;
}

/** What GraphQL shows about an error. */
interface Shown {
  readonly message: string;
  readonly extensions: Extensions | undefined;
}

/** An error on record. */
interface KeptGraphqlError {
  readonly graphqlError: Shown;
}

/** An `HttpException` on record. */
interface KeptHttpError {
  readonly response: string | object;
  readonly status: number;
  readonly shown: Shown;
}

/** Errors in the form in which GraphQL shows them: a message, and `extensions` for programs. */
@Injectable()
export class GraphqlErrors implements ErrorForm, OnModuleInit {
  private graphql: Graphql | undefined;

  constructor(private readonly handlers: HandlerRegistry) {}

  async onModuleInit(): Promise<void> {
    if (this.handlers.has('graphql'))
      this.graphql = (await import('graphql')) as unknown as Graphql;
  }

  /** The same refusal, with the members that GraphQL copies to the client. */
  refusal(exception: IdempotencyException): Error {
    return Object.assign(exception, shownOf(exception));
  }

  keep(error: unknown): unknown {
    if (!(error instanceof Error)) return undefined;
    const shown = shownOf(error);
    if (!(error instanceof HttpException))
      return { graphqlError: shown } satisfies KeptGraphqlError;
    const [response, status] = [error.getResponse(), error.getStatus()];
    return { response, status, shown } satisfies KeptHttpError;
  }

  restore(kept: unknown): Error | undefined {
    const { graphqlError, response, status, shown } = (kept ?? {}) as Partial<
      KeptGraphqlError & KeptHttpError
    >;
    if (graphqlError !== undefined) {
      const { message, extensions } = graphqlError;
      return new this.graphql!.GraphQLError(message, { extensions });
    }
    return response !== undefined && status !== undefined
      ? Object.assign(new HttpException(response, status), shown)
      : undefined;
  }
}

/**
 * What becomes of an operation that failed: as for HTTP. A `GraphQLError` may have a status, where
 * Apollo looks for one.
 */
export const GRAPHQL_FAILURES: FailureForm = {
  statusOf: (error) => shownStatus(error) ?? statusOf(error),
  byDefault: (_error, status) => (isDeterministic(status) ? 'store' : 'release'),
};

function shownOf(error: Error): Shown {
  if (!isIdempotencyError(error))
    return { message: error.message, extensions: extensionsOf(error) };
  const { detail: message, ...members } = error.problem;
  return { message, extensions: { ...members, retryAfter: error.retryAfterSeconds } };
}

/** https://www.apollographql.com/docs/apollo-server/data/errors#setting-http-status-code-and-headers */
function shownStatus(error: unknown): number | undefined {
  const { status } = (extensionsOf(error)?.['http'] ?? {}) as { status?: unknown };
  return typeof status === 'number' ? status : undefined;
}

function extensionsOf(error: unknown): Extensions | undefined {
  const { extensions } = (error ?? {}) as { extensions?: unknown };
  return typeof extensions === 'object' && extensions !== null
    ? (extensions as Extensions)
    : undefined;
}
