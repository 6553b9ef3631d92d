import { HttpException, Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import {
  type IdempotencyException,
  isIdempotencyError,
} from '../../operation/idempotency.exception.js';
import { type FailureForm, isDeterministic, statusOf } from '../../calls/failure.js';
import { notInstalled } from '../../engine/configuration-error.js';
import { HandlerRegistry } from '../../handlers/handler-registry.js';
import type { ErrorForm } from '../../calls/value-call.js';
import { REPLY_VALUES } from '../../options/module-definition.js';
import { jsonView } from '../../replies/json-view.js';
import type { ReplyValues } from '../../replies/values.js';

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

/** Errors in the form in which GraphQL shows them: a message, and `extensions` for programs. */
@Injectable()
export class GraphqlErrors implements ErrorForm, OnModuleInit {
  private graphql: Graphql | undefined;

  constructor(
    private readonly handlers: HandlerRegistry,
    @Inject(REPLY_VALUES) private readonly values: ReplyValues,
  ) {}

  /** From then on, methods too get errors of GraphQL back as what they were. */
  async onModuleInit(): Promise<void> {
    if (!this.handlers.has('graphql')) return;
    try {
      this.graphql = (await import('graphql')) as unknown as Graphql;
    } catch (cause) {
      throw notInstalled('mutations', 'graphql', cause);
    }
    this.values.types.add({
      name: 'graphql:GraphQLError',
      class: this.graphql.GraphQLError,
      trust: 'named',
      toData: (error) => shownOf(error as Error),
      fromData: (shown) => this.restore(shown as Shown),
      coversSubclasses: true,
    });
  }

  /** The same refusal, with the members that GraphQL copies to the client. */
  refusal(exception: IdempotencyException): Error {
    return Object.assign(exception, shownOf(exception));
  }

  /** GraphQL sends extensions as JSON. An exception of Nest has more than is shown. */
  keep(error: unknown): unknown {
    if (!(error instanceof Error) || error instanceof HttpException) return undefined;
    return jsonView(shownOf(error), this.values);
  }

  restore({ message, extensions }: Shown): Error {
    const { GraphQLError } = this.graphql ?? {};
    return GraphQLError === undefined
      ? Object.assign(new Error(message), { extensions })
      : new GraphQLError(message, { extensions });
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
