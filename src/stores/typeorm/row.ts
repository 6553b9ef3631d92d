import type {
  Acquired,
  AcquireRequest,
  RecordState,
  RecordView,
  Refusing,
} from '../../engine/store.js';
import { asBytes, textOf } from './bytes.js';
import type { Row } from './session.js';
import { stepsOf } from './steps.js';

/** The record that a claim has won. */
export function acquired(row: Row): Acquired {
  return {
    outcome: 'acquired',
    attempt: Number(row.attempt),
    fencingToken: Number(row.fencing_token),
    abandoned: isTrue(row.abandoned),
    steps: stepsOf(asBytes(row.steps)),
  };
}

/** What a record that stands in the way says to a claim; `claimable` when it does not. */
export function standing(row: Row, request: AcquireRequest): Refusing | 'claimable' {
  if (isExpired(row)) return request.mustBeIssued ? { outcome: 'unknown' } : 'claimable';
  const state = row.state as RecordState;
  const isBound = state !== 'released' || asBytes(row.steps).length > 0;
  if (isBound && isOtherContent(row, request.fingerprint)) return { outcome: 'mismatch' };
  switch (state) {
    case 'completed':
      return { outcome: 'completed', reply: asBytes(row.reply) };
    case 'held':
      return { outcome: 'held', reason: textOf(row.reason) };
    case 'in-flight': {
      const leaseRemainingMs = Number(row.lease_remaining_ms);
      return leaseRemainingMs > 0 ? { outcome: 'in-flight', leaseRemainingMs } : 'claimable';
    }
    case 'issued':
    case 'released':
      return 'claimable';
  }
}

/** True when neither fingerprint is empty and they differ. */
export function isOtherContent(row: Row, fingerprint: string): boolean {
  const known = textOf(row.fingerprint);
  return known !== '' && fingerprint !== '' && known !== fingerprint;
}

/** True when the retention has passed: the record counts as absent. */
export function isExpired(row: Row): boolean {
  return row.retention_remaining_ms !== null && Number(row.retention_remaining_ms) <= 0;
}

export function viewOf(id: string, row: Row): RecordView {
  const view = {
    id,
    state: row.state as RecordState,
    owner: textOf(row.owner),
    attempt: Number(row.attempt),
    fencingToken: Number(row.fencing_token),
    fingerprint: textOf(row.fingerprint),
    steps: stepsOf(asBytes(row.steps)),
    ...(row.retention_remaining_ms !== null && {
      retentionRemainingMs: Number(row.retention_remaining_ms),
    }),
  };
  switch (view.state) {
    case 'completed':
      return { ...view, reply: asBytes(row.reply) };
    case 'held':
      return { ...view, reason: textOf(row.reason) };
    case 'in-flight':
      return { ...view, leaseRemainingMs: Number(row.lease_remaining_ms) };
    case 'issued':
    case 'released':
      return view;
  }
}

/** Booleans come as such, or as numbers. */
export function isTrue(value: unknown): boolean {
  return Number(value) === 1;
}
