import type { Attributes, Counter, Histogram, Meter } from '@opentelemetry/api';
import type { IdempotencyEvent } from '../engine/events.js';
import type { StoreCall } from '../engine/store-calls.js';

/** In seconds: from an answer from memory to a handler that takes a minute. */
const BOUNDARIES = [
  0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];
const MS_PER_SECOND = 1_000;

/**
 * Counters and histograms that events update. Scope is not an attribute, because `run()` may create
 * many scopes.
 */
export class Instruments {
  private readonly operations: Counter;
  private readonly settlements: Counter;
  private readonly takeovers: Counter;
  private readonly lostLeases: Counter;
  private readonly failedCompletions: Counter;
  private readonly unsavedSteps: Counter;
  private readonly exhausted: Counter;
  private readonly operators: Counter;
  private readonly messages: Counter;
  private readonly handling: Histogram;
  private readonly waiting: Histogram;
  private readonly storing: Histogram;

  constructor(meter: Meter) {
    const counter = (name: string, unit: string, description: string): Counter =>
      meter.createCounter(name, { unit, description });
    const seconds = (name: string, description: string): Histogram =>
      meter.createHistogram(name, {
        unit: 's',
        description,
        advice: { explicitBucketBoundaries: BOUNDARIES },
      });
    this.operations = counter('idempotency.operations', '{call}', 'Calls, by outcome.');
    this.settlements = counter(
      'idempotency.settlements',
      '{operation}',
      'Operations whose handler ran, by how they ended.',
    );
    this.takeovers = counter(
      'idempotency.takeovers',
      '{operation}',
      'Operations that another call took over because their owner stopped renewing its lease.',
    );
    this.lostLeases = counter(
      'idempotency.lost_leases',
      '{lease}',
      'Leases that ended before their handler did.',
    );
    this.failedCompletions = counter(
      'idempotency.failed_completions',
      '{attempt}',
      'Failed attempts to record the end of an operation, which are repeated.',
    );
    this.unsavedSteps = counter(
      'idempotency.unsaved_steps',
      '{step}',
      'Finished steps that could not be saved at once.',
    );
    this.exhausted = counter(
      'idempotency.exhausted',
      '{operation}',
      'Operations that used up their attempts.',
    );
    this.operators = counter(
      'idempotency.operator_decisions',
      '{operation}',
      'Operations that an operator settled or forgot.',
    );
    this.messages = counter(
      'idempotency.unprocessed_messages',
      '{message}',
      'Messages that were dropped or given back to their transport.',
    );
    this.handling = seconds('idempotency.handler.duration', 'How long handlers took.');
    this.waiting = seconds(
      'idempotency.wait.duration',
      'How long duplicates waited for the first call.',
    );
    this.storing = seconds('idempotency.store.duration', 'How long calls of the store took.');
  }

  count(event: IdempotencyEvent): void {
    const attributes: Attributes = { [ATTRIBUTES.strategy]: event.strategy };
    switch (event.type) {
      case 'executed':
        this.ended('executed', attributes);
        this.handling.record(event.durationMs / MS_PER_SECOND, attributes);
        break;
      case 'rejected':
        this.ended('rejected', { ...attributes, [ATTRIBUTES.code]: event.code });
        break;
      case 'replayed':
      case 'unprotected':
        this.ended(event.type, attributes);
        break;
      case 'stored':
      case 'released':
      case 'held':
        this.settlements.add(1, { ...attributes, [ATTRIBUTES.settlement]: event.type });
        break;
      case 'waited':
        this.waiting.record(event.durationMs / MS_PER_SECOND, attributes);
        break;
      case 'taken-over':
        this.takeovers.add(1, attributes);
        break;
      case 'lease-lost':
        this.lostLeases.add(1, attributes);
        break;
      case 'completion-failed':
        this.failedCompletions.add(1, { ...attributes, [ATTRIBUTES.verb]: event.verb });
        break;
      case 'step-not-saved':
        this.unsavedSteps.add(1, attributes);
        break;
      case 'dropped':
      case 'returned':
        this.messages.add(1, {
          ...attributes,
          [ATTRIBUTES.fate]: event.type,
          [ATTRIBUTES.code]: event.code,
        });
        break;
      case 'exhausted':
        this.exhausted.add(1, attributes);
        break;
      case 'settled':
        this.operators.add(1, { [ATTRIBUTES.settlement]: event.decision });
        break;
      case 'forgotten':
        this.operators.add(1, { [ATTRIBUTES.settlement]: event.type });
        break;
      case 'claimed':
        // Counted when the operation has ended.
        break;
    }
  }

  measure({ verb, durationMs, hasFailed }: StoreCall): void {
    this.storing.record(durationMs / MS_PER_SECOND, {
      [ATTRIBUTES.verb]: verb,
      ...(hasFailed && { [ATTRIBUTES.error]: 'unavailable' }),
    });
  }

  private ended(outcome: Outcome, attributes: Attributes): void {
    this.operations.add(1, { ...attributes, [ATTRIBUTES.outcome]: outcome });
  }
}

/**
 * Names of attributes. Their values are numbers and names that the application chose, never a key,
 * a principal, or anything from a body.
 */
export const ATTRIBUTES = {
  strategy: 'idempotency.strategy',
  outcome: 'idempotency.outcome',
  code: 'idempotency.code',
  settlement: 'idempotency.settlement',
  verb: 'idempotency.store.verb',
  fate: 'idempotency.fate',
  scope: 'idempotency.scope',
  attempt: 'idempotency.attempt',
  waitedMs: 'idempotency.waited_ms',
  /** From OpenTelemetry's semantic conventions ("Recording errors"). */
  error: 'error.type',
} as const;

/** The outcome of a call. */
export type Outcome = 'executed' | 'replayed' | 'rejected' | 'unprotected';
