import { createHash } from 'node:crypto';
import type {
  Acquired,
  AcquireRequest,
  ListedRecord,
  RecordState,
  RecordView,
  Refusing,
  Steps,
} from '../../engine/store.js';
import { type RecordStory, storyOf } from '../../engine/story.js';
import type { Row } from './session.js';

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

/** The answer of an existing record to a claim; `claimable` if it can be claimed. */
export function standing(row: Row, request: AcquireRequest): Refusing | 'claimable' {
  if (isExpired(row)) return request.mustBeIssued ? { outcome: 'unknown' } : 'claimable';
  const state = row.state as RecordState;
  const isBound = state !== 'released' || asBytes(row.steps).length > 0;
  if (isBound && isOtherContent(row, request.fingerprint))
    return { outcome: 'mismatch', fingerprint: textOf(row.fingerprint) };
  switch (state) {
    case 'completed':
      return {
        outcome: 'completed',
        reply: asBytes(row.reply),
        ttlRemainingMs: Number(row.ttl_remaining_ms),
      };
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

/** True if neither fingerprint is empty and they differ. */
export function isOtherContent(row: Row, fingerprint: string): boolean {
  const known = textOf(row.fingerprint);
  return known !== '' && fingerprint !== '' && known !== fingerprint;
}

/** True if the ttl has passed, so that the record counts as absent. */
export function isExpired(row: Row): boolean {
  return row.ttl_remaining_ms !== null && Number(row.ttl_remaining_ms) <= 0;
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
    story: storyOfRow(row),
    ...(row.ttl_remaining_ms !== null && {
      ttlRemainingMs: Number(row.ttl_remaining_ms),
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

function storyOfRow(row: Row): RecordStory {
  return storyOf({
    scope: textOf(row.scope),
    label: textOf(row.label),
    createdAt: row.created_at,
    claimedAt: row.claimed_at,
    heldAt: row.held_at,
    heldNote: textOf(row.held_note),
    settledAt: row.settled_at,
    settledNote: textOf(row.settled_note),
  });
}

/** What a list tells of a record. */
export function listedOf(row: Row): ListedRecord {
  const { steps: _, reply: __, ...listed } = viewOf(asBytes(row.id).toString('hex'), row);
  return listed;
}

/** Drivers return booleans or numbers. */
export function isTrue(value: unknown): boolean {
  return Number(value) === 1;
}

/**
 * Steps in one binary column, one frame after the other: length of the name, name, length of the
 * value, value. Lengths are four bytes, the most significant first. A step is saved by appending
 * its frame. Of two frames with the same name, the later one counts.
 */
export function stepFrame(name: string, value: Uint8Array): Buffer {
  const nameBytes = Buffer.from(name, 'utf8');
  const frame = Buffer.allocUnsafe(8 + nameBytes.length + value.length);
  frame.writeUInt32BE(nameBytes.length, 0);
  nameBytes.copy(frame, 4);
  frame.writeUInt32BE(value.length, 4 + nameBytes.length);
  frame.set(value, 8 + nameBytes.length);
  return frame;
}

export function stepsOf(frames: Buffer): Steps {
  const steps = new Map<string, Uint8Array>();
  let offset = 0;
  const next = (): Buffer => {
    const start = offset + 4;
    offset = start + frames.readUInt32BE(offset);
    return frames.subarray(start, offset);
  };
  while (offset < frames.length) {
    const name = next().toString('utf8');
    steps.set(name, next());
  }
  return steps;
}

const ID = /^[0-9a-f]{64}$/;

/** The 32 bytes of an id. Ids are hashes; anything else is hashed. */
export function bytesOfId(id: string): Buffer {
  return ID.test(id) ? Buffer.from(id, 'hex') : createHash('sha256').update(`id:${id}`).digest();
}

export function bytesOfText(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

export function textOf(bytes: unknown): string {
  return asBytes(bytes).toString('utf8');
}

/** A binary column as a driver returns it: a Buffer, or an array of bytes. */
export function asBytes(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  const bytes = value as Uint8Array | null | undefined;
  // Some releases of sql.js return `null` for an empty blob.
  return bytes ? Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) : Buffer.alloc(0);
}
