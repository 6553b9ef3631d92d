import { HttpException } from '@nestjs/common';
import { type IdempotencyErrorCode, REFUSALS } from '../engine/refusals.js';

const BRAND = Symbol.for('nestjs-idempotency:exception');

/** The body of a refusal: problem details (RFC 9457) with two extra members. */
export interface IdempotencyProblem {
  /** The kind of problem; a link if `problemBaseUrl` is set. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What to do next. */
  readonly detail: string;
  readonly code: IdempotencyErrorCode;
  /** True when the same call, repeated unchanged, may succeed later. */
  readonly retryable: boolean;
  /** More than the code says, such as the `current` version or state. */
  readonly [member: string]: string | number | boolean;
}

/** What an {@link IdempotencyException} may have besides its code. */
export interface IdempotencyExceptionOptions {
  /** What a 409 or 503 tells the client to wait, in milliseconds. */
  readonly retryAfterMs?: number;
  /** Where the problem types are documented; the code is appended in lower case with dashes. */
  readonly problemBaseUrl?: string;
  /** Replaces the status in the table, if it depends on the form of the call. */
  readonly status?: number;
  /** Replaces the advice in the table, if more is known. */
  readonly detail?: string;
  /** Replaces `retryable` in the table, if more is known. */
  readonly retryable?: boolean;
  /** More members for the problem details. */
  readonly members?: Readonly<Record<string, string | number>>;
  readonly cause?: unknown;
}

/**
 * Every refusal of this library. Over HTTP it leaves as problem details (RFC 9457), unless a filter of
 * the application answers in another shape; the code stands in the header `Idempotency-Error` either
 * way. Tell it from others with {@link isIdempotencyError}, which also knows it across copies of the
 * package.
 */
export class IdempotencyException extends HttpException {
  readonly code: IdempotencyErrorCode;
  /** True when the same call, repeated unchanged, may succeed later. */
  readonly retryable: boolean;
  /** What the client is told to wait, in whole seconds; absent if a retry does not help. */
  readonly retryAfterSeconds: number | undefined;
  /** @internal */
  readonly [BRAND] = true;

  constructor(code: IdempotencyErrorCode, options: IdempotencyExceptionOptions = {}) {
    const { title, detail, ...refusal } = REFUSALS[code];
    const { status = refusal.status, retryable = refusal.retryable, members } = options;
    const problem: IdempotencyProblem = {
      ...members,
      type: problemType(code, options.problemBaseUrl),
      title,
      status,
      detail: options.detail ?? detail,
      code,
      retryable,
    };
    super(problem, status, { cause: options.cause, description: title });
    this.name = 'IdempotencyException';
    // For logs; what is sent is the problem.
    this.message = `${code}: ${problem.detail}`;
    this.code = code;
    this.retryable = retryable;
    this.retryAfterSeconds =
      options.retryAfterMs === undefined ? undefined : Math.ceil(options.retryAfterMs / 1000);
  }

  /**
   * Adds where this refusal is documented, if the code that made it did not know.
   *
   * @internal
   */
  documentAt(problemBaseUrl: string | undefined): void {
    if (problemBaseUrl === undefined || !this.problem.type.startsWith('urn:')) return;
    Object.assign(this.problem, { type: problemType(this.code, problemBaseUrl) });
  }

  /** The problem details that are sent. */
  get problem(): IdempotencyProblem {
    return this.getResponse() as IdempotencyProblem;
  }
}

/** True for a refusal by this library, whichever copy of it (ESM, CJS) made it. */
export function isIdempotencyError(error: unknown): error is IdempotencyException {
  return typeof error === 'object' && error !== null && BRAND in error;
}

/**
 * Restores a refusal that was recorded as the error of some work.
 *
 * @internal
 * @returns `undefined` for anything else
 */
export function restoredRefusal(
  response: unknown,
  status: number,
  retryAfterSeconds?: number,
): IdempotencyException | undefined {
  if (typeof response !== 'object' || response === null) return undefined;
  const { type, title, code, retryable, detail, ...others } =
    response as Partial<IdempotencyProblem>;
  const isKnown = typeof code === 'string' && Object.hasOwn(REFUSALS, code);
  if (!isKnown || typeof retryable !== 'boolean' || type === undefined || title === undefined)
    return undefined;
  const { status: _, ...members } = others;
  return new IdempotencyException(code, {
    status,
    detail,
    retryable,
    retryAfterMs: retryAfterSeconds === undefined ? undefined : retryAfterSeconds * 1000,
    members: members as IdempotencyExceptionOptions['members'],
  });
}

function problemType(code: IdempotencyErrorCode, baseUrl: string | undefined): string {
  const name = code.slice('IDEMPOTENCY_'.length).toLowerCase().replaceAll('_', '-');
  return baseUrl === undefined ? `urn:nestjs-idempotency:problem:${name}` : `${baseUrl}${name}`;
}
