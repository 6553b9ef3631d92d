/** One row of the table of refusals. */
export interface Refusal {
  /** HTTP status code. */
  readonly status: number;
  /** A short title, the same for every occurrence (RFC 9457, section 3.1.3). */
  readonly title: string;
  /** True when the same call, repeated unchanged, may succeed later. */
  readonly retryable: boolean;
  /** What the caller should do next. */
  readonly detail: string;
}

/**
 * Code, status, title and advice of every refusal. Exceptions, problem details, documentation and
 * tests all read this table.
 */
export const REFUSALS = {
  IDEMPOTENCY_KEY_REQUIRED: {
    status: 400,
    title: 'Idempotency key required',
    retryable: false,
    detail:
      'This operation needs an idempotency key. Send a new, unique key with each operation, and the same key with every retry.',
  },
  IDEMPOTENCY_KEY_INVALID: {
    status: 400,
    title: 'Idempotency key invalid',
    retryable: false,
    detail:
      'The idempotency key must be one value of 1 to 255 characters without control characters; in a header, visible ASCII with spaces inside.',
  },
  IDEMPOTENCY_KEY_EXPIRED: {
    status: 412,
    title: 'Idempotency key expired',
    retryable: false,
    detail:
      'This idempotency key was made too long ago, and what was done with it is no longer on record. The operation was not run. Find out whether it was done before, and do not repeat it with another key until you know.',
  },
  IDEMPOTENCY_WEBHOOK_INVALID: {
    status: 400,
    title: 'Webhook not verified',
    retryable: false,
    detail:
      'The signature of this webhook is missing or wrong, or was made at another time. It was not handled.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    title: 'Idempotency key reused',
    retryable: false,
    detail:
      'This idempotency key was used with other content. Repeat the original content, or send a new key.',
  },
  IDEMPOTENCY_KEY_IN_USE: {
    status: 409,
    title: 'Operation in progress',
    retryable: true,
    detail:
      'The first call with this idempotency key is still running. Retry later with the same key and content.',
  },
  IDEMPOTENCY_TOKEN_INVALID: {
    status: 422,
    title: 'Token invalid',
    retryable: false,
    detail:
      'This token cannot be used here. Ask for a new one, and send it with the new operation.',
  },
  IDEMPOTENCY_PURPOSE_UNKNOWN: {
    status: 400,
    title: 'Purpose unknown',
    retryable: false,
    detail:
      'There are no tokens for this purpose. Ask for one of the purposes that the server knows.',
  },
  IDEMPOTENCY_VERSION_REQUIRED: {
    status: 428,
    title: 'Version required',
    retryable: false,
    detail:
      'This operation needs the version that it is based on. Read the resource and send its version.',
  },
  IDEMPOTENCY_VERSION_CONFLICT: {
    status: 409,
    title: 'Version conflict',
    retryable: false,
    detail: 'The resource has changed since this version. Read it again and decide again.',
  },
  IDEMPOTENCY_STATE_CONFLICT: {
    status: 409,
    title: 'State conflict',
    retryable: false,
    detail: 'The current state of the resource does not allow this.',
  },
  IDEMPOTENCY_RESOURCE_NOT_FOUND: {
    status: 404,
    title: 'Resource not found',
    retryable: false,
    detail: 'There is no such resource.',
  },
  IDEMPOTENCY_DUPLICATE: {
    status: 409,
    title: 'Duplicate operation',
    retryable: false,
    detail: 'This operation has already been done and is not repeated.',
  },
  IDEMPOTENCY_OUTCOME_UNKNOWN: {
    status: 409,
    title: 'Outcome unknown',
    retryable: false,
    detail:
      'The outcome of this operation is unknown. An operator must settle it. Do not repeat it with another key.',
  },
  IDEMPOTENCY_ATTEMPTS_EXHAUSTED: {
    status: 409,
    title: 'Attempts exhausted',
    retryable: false,
    detail:
      'This operation has failed too often and is not attempted again. Do not repeat it with another key before its outcome is known.',
  },
  IDEMPOTENCY_REPLY_NOT_KEPT: {
    status: 409,
    title: 'Reply not kept',
    retryable: false,
    detail: 'This operation has finished, but its reply was not kept. It does not run again.',
  },
  IDEMPOTENCY_REPLY_NOT_ACCEPTABLE: {
    status: 406,
    title: 'Reply not acceptable',
    retryable: false,
    detail:
      'This operation has finished, but its recorded reply is in a form that this request does not accept. It does not run again. Repeat the call with the same key and content, and accept that form.',
  },
  IDEMPOTENCY_RECORD_UNREADABLE: {
    status: 500,
    title: 'Record unreadable',
    retryable: false,
    detail: 'This operation has finished, but its record cannot be read. It does not run again.',
  },
  IDEMPOTENCY_FINGERPRINT_UNAVAILABLE: {
    status: 500,
    title: 'Request content not available',
    retryable: false,
    detail:
      'The operation was not run, because the content of this request could not be compared with that of a retry.',
  },
  IDEMPOTENCY_CONTENT_NOT_PARSED: {
    status: 415,
    title: 'Content type not supported',
    retryable: false,
    detail:
      'This operation does not read content of this type. It was not run, because a retry could not be compared with it.',
  },
  IDEMPOTENCY_NOT_PROTECTED: {
    status: 500,
    title: 'Operation not protected',
    retryable: false,
    detail:
      'This operation was not run, because it could not be protected from running twice. The reason is in the log of the server.',
  },
  IDEMPOTENCY_LIMIT_EXCEEDED: {
    status: 429,
    title: 'Too many operations',
    retryable: true,
    detail:
      'You have too many operations in progress, or began too many within a minute, so this one was not run. Retry later with the same key and content.',
  },
  IDEMPOTENCY_RESULT_PENDING: {
    status: 503,
    title: 'Result pending',
    retryable: true,
    detail:
      'The operation was run, but its result is not on record yet. Retry later with the same key and content to get it.',
  },
  IDEMPOTENCY_STORE_UNAVAILABLE: {
    status: 503,
    title: 'Idempotency store unavailable',
    retryable: true,
    detail:
      'The operation was not run because its record could not be reached. Retry later with the same key and content.',
  },
} as const satisfies Record<string, Refusal>;

/** Codes of {@link REFUSALS}. */
export type IdempotencyErrorCode = keyof typeof REFUSALS;

/** What is known about a transaction that has failed although its work had succeeded. */
export type Undone =
  /** The database undid it, because others changed the same data. Nothing of it is there. */
  | 'conflict'
  /** Nothing of it is there, for another reason. */
  | 'undone'
  /** Work and record are both committed, or neither is. */
  | 'unknown'
  /** The handler had ended it before. An operator has to settle the operation. */
  | 'held';

/** What the caller of an operation whose transaction has failed is told. */
const UNDONE = {
  conflict: {
    code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
    detail:
      'The operation was run, but the database has undone it, because other operations changed the same data at the same time. Retry later with the same key and content.',
  },
  undone: {
    code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
    detail:
      'The operation was run, but it was undone, because it could not be recorded. Retry later with the same key and content.',
  },
  unknown: {
    code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
    detail:
      'The operation was run, but it is not known whether it was committed. Retry later with the same key and content: you get its result if it was committed, and it runs again if not.',
  },
  held: { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN', detail: undefined },
} as const satisfies Record<
  Undone,
  { readonly code: IdempotencyErrorCode; readonly detail: string | undefined }
>;

/** How the caller of an operation whose transaction has failed is refused. */
export function undoneRefusal(
  { why, cause }: { readonly why: Undone; readonly cause: unknown },
  retryAfterMs: number,
): {
  readonly code: IdempotencyErrorCode;
  readonly reason: { retryAfterMs?: number; detail?: string; cause: unknown };
} {
  const { code, detail } = UNDONE[why];
  const isRetryable = REFUSALS[code].retryable;
  return { code, reason: { cause, detail, ...(isRetryable && { retryAfterMs }) } };
}

/** What is said if the store does not answer while the handler is running. */
export const NOT_CONTINUED =
  'The operation was begun, but could not go on, because its record could not be reached. Retry later with the same key and content.';
