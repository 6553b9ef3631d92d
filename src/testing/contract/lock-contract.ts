import assert from 'node:assert/strict';
import type { HeldLock, LockRequest, LockService } from '../../engine/lock-service.js';
import { type LockCase, lockCasesOf, type LockHarness } from './lock-case.js';
import { LONG_MS, newId } from './support.js';

const CROWD = 16;

/** A request for a new lock that waits, with a lease that does not end, unless `given` says otherwise. */
function requestOf(given: Partial<LockRequest> = {}): LockRequest {
  const { signal } = new AbortController();
  const onWait = (): void => undefined;
  return { id: newId(), leaseMs: LONG_MS, waits: true, signal, onWait, ...given };
}

/** Acquires, and expects to get the lock. */
async function get(locks: LockService, request: LockRequest): Promise<HeldLock> {
  // Each with a signal of its own, as calls have.
  const held = await locks.acquire({ ...request, signal: new AbortController().signal });
  assert.ok(held, 'expected to get the lock');
  return held;
}

/** Asks, and resolves with the answer once the request has begun to wait. */
async function queued(
  locks: LockService,
  request: LockRequest,
): Promise<{ readonly answer: Promise<HeldLock | undefined> }> {
  let answer = Promise.resolve<HeldLock | undefined>(undefined);
  await new Promise<void>((resolve, reject) => {
    answer = locks.acquire({ ...request, onWait: resolve });
    answer.then(() => reject(new Error('expected to wait for the lock')), reject);
  });
  return { answer };
}

async function assertTaken(locks: LockService, request: LockRequest): Promise<void> {
  assert.equal(await locks.acquire({ ...request, waits: false }), undefined);
}

const oneHolder = lockCasesOf(1, {
  'gives a free lock to one of 16 at once': async (harness) => {
    const request = requestOf({ waits: false });
    const answers = await atOnce(harness, (locks) => locks.acquire(request));
    assert.equal(answers.filter((held) => held !== undefined).length, 1);
  },

  'lets 16 that wait in one by one': async (harness) => {
    const request = requestOf();
    let inside = 0;
    let most = 0;
    await atOnce(harness, async (locks) => {
      const held = await get(locks, request);
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside -= 1;
      assert.equal(await held.release(), true);
    });
    assert.equal(most, 1);
  },
});

const tokens = lockCasesOf(2, {
  'gives every holder a higher token than the one before': async (harness) => {
    const request = requestOf();
    const seen: number[] = [];
    await atOnce(harness, async (locks) => {
      const held = await get(locks, request);
      seen.push(held.fencingToken);
      await held.release();
    });
    assert.ok(seen.every((token) => Number.isSafeInteger(token)));
    assert.deepEqual(
      seen,
      [...new Set(seen)].sort((a, b) => a - b),
    );
  },

  'gives a higher token after nobody held the lock': async (harness) => {
    const request = requestOf();
    const first = await get(harness.locks, request);
    await first.release();
    const second = await get(harness.other, request);
    assert.ok(second.fencingToken > first.fencingToken);
    await second.release();
  },
});

const onlyTheHolder = lockCasesOf(3, {
  'tells a holder that it has released its lock': async (harness) => {
    const held = await get(harness.locks, requestOf());
    assert.deepEqual([held.isLost, await held.confirm()], [false, true]);
    assert.equal(await held.release(), true);
  },

  'does not touch the lock of the next holder with a second release': async (harness) => {
    const request = requestOf();
    const first = await get(harness.locks, request);
    await first.release();
    const second = await get(harness.other, request);
    await first.release();
    await assertTaken(harness.locks, request);
    assert.equal(await second.release(), true);
  },
});

const waiting = lockCasesOf(4, {
  'refuses at once what does not wait': async (harness) => {
    const request = requestOf();
    const held = await get(harness.locks, request);
    await assertTaken(harness.locks, request);
    await assertTaken(harness.other, request);
    await held.release();
    await (await get(harness.other, { ...request, waits: false })).release();
  },

  'gives the lock to the one that waits once it is released': async (harness) => {
    const request = requestOf();
    const held = await get(harness.locks, request);
    const { answer } = await queued(harness.other, request);
    await held.release();
    const next = await answer;
    assert.ok(next);
    await assertTaken(harness.locks, request);
    await next.release();
  },

  'passes over a place that was given up': async (harness) => {
    const request = requestOf();
    const held = await get(harness.locks, request);
    const gone = new AbortController();
    const second = await queued(harness.other, { ...request, signal: gone.signal });
    const third = await queued(harness.locks, request);
    gone.abort();
    assert.equal(await second.answer, undefined);
    await held.release();
    const next = await third.answer;
    assert.ok(next);
    await next.release();
  },

  'leaves nothing of one that waits no longer': async (harness) => {
    const request = requestOf();
    const held = await get(harness.locks, request);
    const gone = new AbortController();
    const { answer } = await queued(harness.other, { ...request, signal: gone.signal });
    gone.abort();
    assert.equal(await answer, undefined);
    await held.release();
    await (await get(harness.other, { ...request, waits: false })).release();
  },
});

/** How often a case may find that the machine stood still for a lease, in which a lock is lost rightly. */
const TRIES = 3;

/** `true` if the case could be tried, and did what it should. */
async function trying(attempt: () => Promise<boolean>): Promise<void> {
  for (let tries = 1; !(await attempt()); tries += 1)
    assert.ok(tries < TRIES, 'the lock was lost although it was renewed');
}

const theLease = lockCasesOf(5, {
  'keeps a lock for longer than its lease while its holder renews it': ({
    locks,
    other,
    leaseMs,
  }) =>
    trying(async () => {
      const request = requestOf({ leaseMs });
      const held = await get(locks, request);
      const over = AbortSignal.timeout(2 * leaseMs);
      const next = await other.acquire({ ...request, signal: over });
      await next?.release();
      if (next !== undefined) assert.equal(await held.confirm(), false);
      const isKept = next === undefined && !held.isLost;
      await held.release();
      return isKept;
    }),

  'keeps the place of one that waits for longer than a lease': ({ locks, other, leaseMs }) =>
    trying(async () => {
      const request = requestOf({ leaseMs });
      const held = await get(locks, request);
      const { answer } = await queued(other, request);
      await new Promise((resolve) => setTimeout(resolve, 1.5 * leaseMs));
      await held.release();
      const next = await answer.catch(() => undefined);
      await next?.release();
      return next !== undefined;
    }),

  'gives the lock of a holder that was cut off to the next, and tells that holder': async ({
    other,
    leaseMs,
    mortal,
  }) => {
    const request = requestOf({ leaseMs });
    const { locks, cutOff } = await mortal();
    const held = await get(locks, request);
    const isTold = new Promise<void>((resolve) => {
      held.signal.addEventListener('abort', () => resolve());
    });
    const { answer } = await queued(other, { ...request, leaseMs: LONG_MS });
    cutOff();
    const next = await answer;
    assert.ok(next);
    assert.ok(next.fencingToken > held.fencingToken);
    await isTold;
    assert.deepEqual([held.isLost, await held.confirm()], [true, false]);
    await next.release();
  },
});

const names = lockCasesOf(6, {
  'gives locks with different names to different callers': async (harness) => {
    const request = requestOf();
    const { id } = request;
    const digit = id.endsWith('0') ? '1' : '0';
    const first = id.startsWith('0') ? '1' : '0';
    const ids = [id, `${id.slice(0, -1)}${digit}`, `${first}${id.slice(1)}`];
    const all = await Promise.all(
      ids.map((one) => get(harness.locks, { ...request, id: one, waits: false })),
    );
    for (const held of all) assert.equal(await held.release(), true);
  },
});

/**
 * What every lock service must do, as cases for any test runner. Run them one after the other, against a real
 * server, with two clients.
 *
 * @example
 * for (const { guarantee, name, run } of lockContract) {
 *   test(`${guarantee}: ${name}`, () => run({ locks, other, leaseMs: 2_000, mortal }));
 * }
 */
export const lockContract: readonly LockCase[] = [
  ...oneHolder,
  ...tokens,
  ...onlyTheHolder,
  ...waiting,
  ...theLease,
  ...names,
];

/** Runs everything at once, every second call by the other client. */
function atOnce<T>(
  { locks, other }: LockHarness,
  call: (locks: LockService) => Promise<T>,
): Promise<T[]> {
  return Promise.all(
    Array.from({ length: CROWD }, (_, index) => call(index % 2 === 0 ? locks : other)),
  );
}
