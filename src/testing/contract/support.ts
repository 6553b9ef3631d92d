import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  type Acquired,
  type AcquireRequest,
  type AcquireResult,
  type Awaitable,
  type IdempotencyStore,
  isPurging,
  type RecordView,
  type Steps,
} from '../../engine/store.js';
import type { StoreHarness } from './contract-case.js';

/** Longer than any case runs. In milliseconds. */
export const LONG_MS = 10 * 60_000;

/** Longer than any case takes, but shorter than {@link LONG_MS}. In milliseconds. */
const SLACK_MS = 2 * 60_000;

export function newId(): string {
  return randomBytes(32).toString('hex');
}

export function newOwner(): string {
  return randomUUID();
}

export function bytes(text: string): Uint8Array {
  return Buffer.from(text);
}

/**
 * Purges, and returns how many were deleted. Nothing is deleted if the server itself drops expired
 * records.
 */
export async function purge(store: IdempotencyStore, limit: number): Promise<number> {
  return isPurging(store) ? store.purgeExpired(limit) : 0;
}

/** A claim by a new owner on a new record, unless `given` says otherwise. */
export function claimOf(given: Partial<AcquireRequest> = {}): AcquireRequest {
  return {
    id: newId(),
    owner: newOwner(),
    fingerprint: 'fingerprint',
    leaseMs: LONG_MS,
    ttlMs: LONG_MS,
    ...given,
  };
}

export function assertAcquired(result: AcquireResult): Acquired {
  if (result.outcome !== 'acquired') assert.fail(`expected 'acquired', got '${result.outcome}'`);
  return result;
}

export interface WonClaim {
  readonly request: AcquireRequest;
  readonly result: Acquired;
}

/** Acquires, and expects to win. */
export async function win(
  store: IdempotencyStore,
  given: Partial<AcquireRequest> = {},
): Promise<WonClaim> {
  const request = claimOf(given);
  return { request, result: assertAcquired(await store.acquire(request)) };
}

/** A claim whose lease has expired, while the record is kept. */
export async function lapsed(
  { store, tickMs, elapse }: StoreHarness,
  given: Partial<AcquireRequest> = {},
): Promise<AcquireRequest> {
  const { request } = await win(store, { leaseMs: tickMs, ...given });
  await elapse(2 * tickMs);
  return request;
}

/** A record that was completed with this reply. */
export async function completed(
  store: IdempotencyStore,
  reply: Uint8Array = bytes('reply'),
): Promise<AcquireRequest> {
  const { request } = await win(store);
  assert.equal(await store.complete({ ...request, reply }), true);
  return request;
}

/** A record that is held for this reason. */
export async function held(
  store: IdempotencyStore,
  reason = 'reason',
  given: Partial<AcquireRequest> = {},
): Promise<AcquireRequest> {
  const { request } = await win(store, given);
  assert.equal(await store.hold({ ...request, reason }), true);
  return request;
}

/** Runs everything at once, every second call by the other client. */
export function allAtOnce<T>(
  { store, other }: StoreHarness,
  count: number,
  call: (store: IdempotencyStore, index: number) => Awaitable<T>,
): Promise<T[]> {
  return Promise.all(
    Array.from({ length: count }, async (_, index) => call(index % 2 === 0 ? store : other, index)),
  );
}

/** Claims the same record many times at once, each time by another owner. */
export function claimAtOnce(
  harness: StoreHarness,
  count: number,
  given: Partial<AcquireRequest> & { readonly id: string },
): Promise<AcquireResult[]> {
  return allAtOnce(harness, count, (store) => store.acquire(claimOf(given)));
}

/** Counts the outcomes. */
export function tally(
  results: readonly AcquireResult[],
): Partial<Record<AcquireResult['outcome'], number>> {
  const counts: Partial<Record<AcquireResult['outcome'], number>> = {};
  for (const { outcome } of results) counts[outcome] = (counts[outcome] ?? 0) + 1;
  return counts;
}

export function theAcquired(results: readonly AcquireResult[]): Acquired {
  const winners = results.filter((result) => result.outcome === 'acquired');
  assert.equal(winners.length, 1, `expected one winner, got ${JSON.stringify(tally(results))}`);
  return winners[0] as Acquired;
}

export async function mustFind(store: IdempotencyStore, id: string): Promise<RecordView> {
  const view = await store.find(id);
  assert.ok(view, 'expected to find the record');
  return view;
}

export function assertBytes(actual: Uint8Array | undefined, expected: Uint8Array): void {
  assert.ok(ArrayBuffer.isView(actual), 'expected bytes');
  // Not deepEqual: its message would print a megabyte.
  assert.ok(
    Buffer.compare(actual, expected) === 0,
    `expected the ${expected.length} bytes that were handed in, got ${actual.length} bytes`,
  );
}

export async function assertReplays(
  store: IdempotencyStore,
  request: AcquireRequest,
  reply: Uint8Array,
): Promise<void> {
  const result = await store.acquire({ ...request, owner: newOwner() });
  if (result.outcome !== 'completed') assert.fail(`expected 'completed', got '${result.outcome}'`);
  assertBytes(result.reply, reply);
}

export function assertSteps(actual: Steps, expected: Readonly<Record<string, string>>): void {
  const texts = [...actual].map(([name, value]) => [name, Buffer.from(value).toString()]);
  assert.deepEqual(Object.fromEntries(texts), expected);
}

/** Runs `act` and expects it to leave the record as it was, its deadlines included. */
export async function assertUnchanged(
  { other }: StoreHarness,
  id: string,
  act: () => Promise<void>,
): Promise<void> {
  const before = await other.find(id);
  await act();
  const after = await other.find(id);
  assert.deepEqual(lasting(after), lasting(before));
  assertSameDeadline('lease', before?.leaseRemainingMs, after?.leaseRemainingMs);
  assertSameDeadline('ttl', before?.ttlRemainingMs, after?.ttlRemainingMs);
}

/** The parts of a record that do not change with time. */
function lasting(view: RecordView | undefined): unknown {
  if (view === undefined) return undefined;
  const { leaseRemainingMs: _lease, ttlRemainingMs: _ttl, ...rest } = view;
  return {
    ...rest,
    steps: new Map(
      [...view.steps].map(([name, value]) => [name, Buffer.from(value).toString('hex')]),
    ),
    reply: view.reply && Buffer.from(view.reply).toString('hex'),
  };
}

function assertSameDeadline(
  name: string,
  before: number | undefined,
  after: number | undefined,
): void {
  if (before === undefined || after === undefined) return assert.equal(after, before, name);
  assert.ok(after <= before + 1, `the ${name} was prolonged, from ${before} to ${after} ms`);
  assert.ok(after >= before - SLACK_MS, `the ${name} was cut, from ${before} to ${after} ms`);
}

/** Expects `actual` to be `expected`, minus the little time that has passed since. */
export function assertRemaining(actual: number | undefined, expectedMs: number): void {
  assert.ok(actual !== undefined, 'expected a remaining time');
  assert.ok(
    actual <= expectedMs + 1 && actual >= expectedMs - SLACK_MS,
    `expected about ${expectedMs} ms to remain, got ${actual}`,
  );
}
