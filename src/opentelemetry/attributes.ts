/**
 * Names of attributes. Values are names that the application gave to kinds of things, and numbers:
 * never a key, a principal, or anything of a body.
 */
export const ATTRIBUTES = {
  strategy: 'idempotency.strategy',
  outcome: 'idempotency.outcome',
  code: 'idempotency.code',
  settlement: 'idempotency.settlement',
  verb: 'idempotency.store.verb',
  scope: 'idempotency.scope',
  attempt: 'idempotency.attempt',
  waitedMs: 'idempotency.waited_ms',
  /** OpenTelemetry's own (semantic conventions, "Recording errors"). */
  error: 'error.type',
} as const;

/** What became of a call. */
export type Outcome = 'executed' | 'replayed' | 'rejected' | 'unprotected';
