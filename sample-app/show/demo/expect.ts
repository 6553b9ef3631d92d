import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { isInUse, json, type Reply } from './visitor.js';

/** A new intent, a new key. */
export const newKey = (): Record<string, string> => ({ 'Idempotency-Key': randomUUID() });

export const signedInAs = (name: string): Record<string, string> => ({
  Authorization: `Bearer ${name}`,
});

export function expectStatus(expected: number, ...replies: readonly Reply[]): void {
  for (const { status } of replies)
    assert.equal(status, expected, `answered ${status} instead of ${expected}`);
}

export const expectCreated = (...replies: readonly Reply[]): void => expectStatus(201, ...replies);

/** Answered from the record: what the first one got, marked as such. */
export function expectReplayed(...replies: readonly Reply[]): void {
  for (const { status, headers } of replies)
    assert.equal(headers['idempotent-replayed'], 'true', `${status} was not a replay`);
}

export function expectRefused(reply: Reply, status: number, code: string): void {
  const given = `${reply.status} ${String(json(reply).code)}`;
  assert.equal(given, `${status} ${code}`, `answered ${given} instead of ${status} ${code}`);
}

/** Told to come back, and when. */
export function expectInUse(reply: Reply): void {
  expectRefused(reply, 409, 'IDEMPOTENCY_KEY_IN_USE');
  assert.ok(Number(reply.headers['retry-after']) >= 1, '409 without Retry-After');
}

/** Of duplicates sent at once every one is either answered or told to come back. */
export function expectAnsweredOrInUse(replies: readonly Reply[]): void {
  for (const reply of replies) {
    if (isInUse(reply)) expectInUse(reply);
    else expectCreated(reply);
  }
}
