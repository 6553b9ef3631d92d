import type { ArgumentsHost, HttpServer } from '@nestjs/common';
// Every exception of a request passes this class, whatever threw it and whichever filter answers
// it. It is not part of Nest's public interface, but the same in Nest 11 and 12, and a test checks
// it.
import { ExceptionsHandler } from '@nestjs/core/exceptions/exceptions-handler.js';
import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import {
  type IdempotencyException,
  isIdempotencyError,
} from '../../operation/idempotency.exception.js';
import { PROBLEM_CONTENT_TYPE, problemHeaders } from './headers.js';

/** The methods that are called on Express's response, Fastify's reply and Node's response. */
interface AnyResponse {
  readonly raw?: ServerResponse;
  readonly headersSent?: boolean;
  getHeaders(): OutgoingHttpHeaders;
  /** Fastify. */
  header(name: string, value: string): unknown;
  /** Express, Node. */
  setHeader(name: string, value: string): unknown;
  /** Express, Fastify. */
  status(status: number): unknown;
  send?(body: Uint8Array): unknown;
}

/**
 * The application's settings for refusals, kept on its adapter, where all copies of this package
 * find them.
 */
interface ProblemForm {
  readonly problemBaseUrl: string | undefined;
}

const FORM = Symbol.for('nestjs-idempotency:problem-form');
const PREPARES = Symbol.for('nestjs-idempotency:prepares-refusals');
type Adapter = HttpServer & { [FORM]?: ProblemForm };

/** The refusal that each response will send. */
const refusals = new WeakMap<object, IdempotencyException>();
const taught = new WeakSet<object>();

/**
 * Puts the code of every refusal over HTTP into a header, whichever filter answers it. If Nest's
 * own filter answers, or another filter that sends the problem as it is, the body is sent as the
 * bytes of problem details. Adapters treat objects differently: some versions send any object as
 * `application/json`, and warn.
 */
export function prepareRefusals(adapter: object, form: ProblemForm): void {
  (adapter as Adapter)[FORM] = form;
  const next = Reflect.get(ExceptionsHandler.prototype, 'next') as (
    ...args: [Error, ArgumentsHost]
  ) => unknown;
  if (PREPARES in next) return;
  const preparing = function (
    this: ExceptionsHandler,
    exception: Error,
    host: ArgumentsHost,
  ): unknown {
    if (isIdempotencyError(exception)) {
      const { applicationRef } = this as unknown as { readonly applicationRef?: Adapter };
      if (applicationRef) prepare(applicationRef, host.getArgByIndex<AnyResponse>(1), exception);
    }
    return Reflect.apply(next, this, [exception, host]);
  };
  ExceptionsHandler.prototype.next = Object.assign(preparing, { [PREPARES]: true });
}

function prepare(adapter: Adapter, response: AnyResponse, exception: IdempotencyException): void {
  if (adapter.isHeadersSent(response) || response.headersSent === true) return;
  exception.documentAt(adapter[FORM]?.problemBaseUrl);
  refusals.set(response, exception);
  teach(adapter);
  for (const [name, value] of problemHeaders(exception, response.getHeaders()))
    setHeader(response, name, value);
}

function teach(adapter: Adapter): void {
  if (taught.has(adapter)) return;
  taught.add(adapter);
  const reply = Reflect.get(adapter, 'reply') as (...args: unknown[]) => unknown;
  adapter.reply = function (response: AnyResponse, body: unknown, status?: number): unknown {
    const exception = refusals.get(response);
    if (exception === undefined || body !== exception.getResponse())
      return Reflect.apply(reply, this, [response, body, status]);
    return send(response, exception, status ?? exception.getStatus());
  };
}

function send(response: AnyResponse, { problem }: IdempotencyException, status: number): unknown {
  const bytes = Buffer.from(JSON.stringify(problem));
  setHeader(response, 'Content-Type', PROBLEM_CONTENT_TYPE);
  if (response.send !== undefined) {
    response.status(status);
    return response.send(bytes);
  }
  // In middleware on Fastify, the response is Node's own.
  const raw = response as unknown as ServerResponse;
  raw.statusCode = status;
  raw.setHeader('Content-Length', bytes.length);
  return raw.end(bytes);
}

function setHeader(response: AnyResponse, name: string, value: string): void {
  if (response.raw === undefined) response.setHeader(name, value);
  else response.header(name, value);
}
