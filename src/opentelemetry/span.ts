import type { Span } from '@opentelemetry/api';
import type { IdempotencyEvent } from '../engine/events.js';
import { ATTRIBUTES, type Outcome } from './instruments.js';

/** Adds the outcome of a call to its span. With several strategies, the last one counts. */
export function annotate(span: Span, event: IdempotencyEvent): void {
  const { scope, strategy } = event;
  span.setAttributes({ [ATTRIBUTES.scope]: scope, [ATTRIBUTES.strategy]: strategy });
  switch (event.type) {
    case 'claimed':
      span.setAttribute(ATTRIBUTES.attempt, event.attempt);
      break;
    case 'taken-over':
      span.setAttribute(ATTRIBUTES.attempt, event.attempt);
      span.addEvent('idempotency.taken-over');
      break;
    case 'executed':
    case 'replayed':
    case 'unprotected':
      span.setAttribute(ATTRIBUTES.outcome, event.type satisfies Outcome);
      break;
    case 'rejected':
      span.setAttributes({ [ATTRIBUTES.outcome]: event.type, [ATTRIBUTES.code]: event.code });
      break;
    case 'waited':
      span.setAttribute(ATTRIBUTES.waitedMs, event.durationMs);
      break;
    case 'stored':
    case 'released':
    case 'held':
      span.setAttribute(ATTRIBUTES.settlement, event.type);
      break;
    case 'lease-lost':
    case 'completion-failed':
    case 'step-not-saved':
      span.addEvent(`idempotency.${event.type}`);
      break;
    case 'settled':
    case 'forgotten':
      span.addEvent(`idempotency.operator-${event.type}`);
      break;
    case 'exhausted':
      span.addEvent('idempotency.attempts-exhausted');
      break;
    case 'dropped':
    case 'returned':
      span.addEvent(`idempotency.message-${event.type}`);
      break;
  }
}
