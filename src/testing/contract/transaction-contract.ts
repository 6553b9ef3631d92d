import assert from 'node:assert/strict';
import type { AcquireRequest, AcquireResult } from '../../engine/store.js';
import type {
  OperationTransaction,
  StoreTransaction,
  TransactionalStore,
} from '../../engine/transaction.js';
import type {
  TransactionCase,
  TransactionGuarantee,
  TransactionHarness,
} from './transaction-case.js';
import { assertAcquired, bytes, claimOf, LONG_MS, newId } from './support.js';

/** With NUL, and bytes that are no UTF-8. */
const REPLY = Uint8Array.from({ length: 512 }, (_, index) => index % 256);

/** Long enough for a busy machine to end another transaction. In milliseconds. */
const PATIENT_MS = 20_000;
/** Far more than a store needs that does not wait. */
const AT_ONCE_MS = 5_000;

const begin = (store: TransactionalStore, lockWaitMs = 0): Promise<StoreTransaction> =>
  store.beginTransaction({ source: undefined, lockWaitMs });

/** A transaction that has claimed a new record, and a row written in it. */
async function written(
  { store, write }: TransactionHarness,
  given: Partial<AcquireRequest> = {},
): Promise<{
  readonly transaction: StoreTransaction;
  readonly request: AcquireRequest;
  readonly row: string;
}> {
  const request = claimOf(given);
  const transaction = await begin(store);
  assertAcquired(await transaction.acquire(request));
  const row = newId();
  await transaction.run(() => write(transaction.manager as OperationTransaction, row));
  return { transaction, request, row };
}

/** Claims a record, and ends the transaction at once. */
async function claimOnce(
  store: TransactionalStore,
  request: AcquireRequest,
  lockWaitMs = 0,
): Promise<AcquireResult> {
  const transaction = await begin(store, lockWaitMs);
  try {
    return await transaction.acquire(request);
  } finally {
    await transaction.rollback();
  }
}

const again = (request: AcquireRequest): AcquireRequest => claimOf({ id: request.id });

const CASES: Readonly<
  Record<TransactionGuarantee, Readonly<Record<string, TransactionCase['run']>>>
> = {
  1: {
    'shows neither record nor work before the commit, and both after it': async (harness) => {
      const { other, isWritten, connections } = harness;
      const { transaction, request, row } = await written(harness);
      assert.equal(await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS }), true);
      if (connections > 1) {
        assert.equal(await other.find(request.id), undefined);
        assert.equal(await isWritten(row), false);
      }
      await transaction.commit();
      assert.equal(await isWritten(row), true);
      assert.equal((await other.find(request.id))?.state, 'completed');
    },

    'leaves neither record nor work after a rollback': async (harness) => {
      const { store, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      await transaction.rollback();
      assert.equal(await isWritten(row), false);
      assert.equal(await store.find(request.id), undefined);
      assert.equal(assertAcquired(await claimOnce(store, again(request))).attempt, 1);
    },

    'replays the reply byte for byte': async (harness) => {
      const { store, other } = harness;
      const { transaction, request } = await written(harness);
      await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
      await transaction.commit();
      for (const replayed of [
        await claimOnce(other, again(request)),
        await store.acquire(again(request)),
      ]) {
        if (replayed.outcome !== 'completed') assert.fail(replayed.outcome);
        assert.deepEqual(Buffer.from(replayed.reply), Buffer.from(REPLY));
      }
    },

    'commits the steps of the work with it': async (harness) => {
      const { store } = harness;
      const { transaction, request } = await written(harness);
      const name = 'charge';
      assert.equal(await transaction.saveStep({ ...request, name, value: bytes('paid') }), true);
      assert.equal(await transaction.hold({ ...request, reason: 'look' }), true);
      await transaction.commit();
      const record = await store.find(request.id);
      assert.deepEqual(Buffer.from(record!.steps.get(name)!).toString(), 'paid');
    },

    'commits the work of an attempt that goes on later, which does not count': async (harness) => {
      const { store, other, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      const released = { ...request, ttlMs: LONG_MS, isUncounted: true };
      assert.equal(await transaction.release(released), true);
      await transaction.commit();
      assert.equal(await isWritten(row), true);
      assert.equal((await other.find(request.id))?.state, 'released');
      assert.equal(assertAcquired(await claimOnce(store, again(request))).attempt, 1);
    },

    'commits the records of several claims together': async (harness) => {
      const { store, other } = harness;
      const { transaction, request } = await written(harness);
      const second = claimOf();
      assertAcquired(await transaction.acquire(second));
      for (const each of [request, second])
        assert.equal(await transaction.complete({ ...each, reply: REPLY, ttlMs: LONG_MS }), true);
      await transaction.commit();
      for (const { id } of [request, second])
        assert.deepEqual(
          [(await store.find(id))?.state, (await other.find(id))?.state],
          ['completed', 'completed'],
        );
    },
  },
  2: {
    'keeps the record of work that was undone': async (harness) => {
      const { store, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      await transaction.undoWork();
      assert.equal(await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS }), true);
      await transaction.commit();
      assert.equal(await isWritten(row), false);
      assert.equal((await store.find(request.id))?.state, 'completed');
    },

    'holds the record of work that was undone': async (harness) => {
      const { store, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      await transaction.undoWork();
      assert.equal(await transaction.hold({ ...request, reason: 'unknown' }), true);
      await transaction.commit();
      assert.equal(await isWritten(row), false);
      assert.equal((await store.find(request.id))?.state, 'held');
    },

    'undoes work whose last statement has failed': async (harness) => {
      const { store, write, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      await assert.rejects(async () => {
        await transaction.run(() => write(transaction.manager as OperationTransaction, row));
        // A unit of work may only write when it is asked for what it has written.
        throw new Error('The same row could be written twice.');
      });
      await transaction.undoWork();
      assert.equal(await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS }), true);
      await transaction.commit();
      assert.equal(await isWritten(row), false);
      assert.equal((await store.find(request.id))?.state, 'completed');
    },
  },
  3: {
    'refuses a record that another transaction has, without waiting': async (harness) => {
      if (harness.connections === 1) return;
      const { transaction, request } = await written(harness);
      const askedAt = performance.now();
      const result = await claimOnce(harness.other, again(request));
      const tookMs = performance.now() - askedAt;
      assert.equal(result.outcome, 'in-flight');
      assert.ok(tookMs < AT_ONCE_MS, `it waited for ${tookMs} ms`);
      await transaction.rollback();
    },

    'lets a claim wait for the reply of another transaction': async (harness) => {
      if (harness.connections === 1) return;
      const { transaction, request } = await written(harness);
      const waiting = claimOnce(harness.other, again(request), PATIENT_MS);
      await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
      await transaction.commit();
      const { outcome } = await waiting;
      assert.equal(outcome, 'completed');
    },

    'gives a record to the claim that waited, if the other transaction is undone': async (
      harness,
    ) => {
      if (harness.connections === 1) return;
      const { transaction, request } = await written(harness);
      const waiting = claimOnce(harness.other, again(request), PATIENT_MS);
      await transaction.rollback();
      assert.equal(assertAcquired(await waiting).attempt, 1);
    },

    'does not have other records wait': async (harness) => {
      if (harness.connections === 1) return;
      const first = await written(harness);
      const second = await written(harness);
      await second.transaction.rollback();
      await first.transaction.rollback();
    },

    'gives a free record to one of many at once, and the reply to the others': async (harness) => {
      const { store, other, write, isWritten } = harness;
      const { id } = claimOf();
      const row = newId();
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, async (_, index) => {
          const transaction = await begin(index % 2 === 0 ? store : other, PATIENT_MS);
          const request = claimOf({ id });
          const { outcome } = await transaction.acquire(request);
          if (outcome !== 'acquired') {
            await transaction.rollback();
            return outcome;
          }
          await transaction.run(() => write(transaction.manager as OperationTransaction, row));
          await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
          await transaction.commit();
          return outcome;
        }),
      );
      assert.deepEqual(outcomes.filter((outcome) => outcome === 'acquired').length, 1);
      assert.deepEqual([...new Set(outcomes)].sort(), ['acquired', 'completed']);
      assert.equal(await isWritten(row), true);
    },

    'tells a claim with other content that it is other content': async (harness) => {
      const { transaction, request } = await written(harness);
      await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
      await transaction.commit();
      const { outcome } = await claimOnce(
        harness.other,
        claimOf({ id: request.id, fingerprint: 'other' }),
      );
      assert.equal(outcome, 'mismatch');
    },
  },
  4: {
    'finds its transaction without getting it passed': async (harness) => {
      const { current } = harness;
      if (current === undefined) return;
      assert.equal(current(), undefined);
      const { transaction } = await written(harness);
      let found: unknown;
      await transaction.run(async () => {
        await Promise.resolve();
        found = current();
      });
      assert.equal(found, transaction.manager);
      assert.equal(current(), undefined);
      let late: Promise<unknown> | undefined;
      let end = (): void => undefined;
      const ended = new Promise<void>((resolve) => (end = resolve));
      transaction.run(() => {
        late = ended.then(() => current());
      });
      await transaction.rollback();
      end();
      assert.equal(await late, undefined);
    },

    'keeps concurrent transactions apart': async (harness) => {
      const { isWritten, connections } = harness;
      if (connections === 1) return;
      const first = await written(harness);
      const second = await written(harness);
      await second.transaction.complete({ ...second.request, reply: REPLY, ttlMs: LONG_MS });
      await second.transaction.commit();
      await first.transaction.rollback();
      assert.deepEqual([await isWritten(first.row), await isWritten(second.row)], [false, true]);
    },

    'keeps what the store does beside a transaction out of it': async (harness) => {
      const { store, connections } = harness;
      if (connections === 1) return;
      const { transaction } = await written(harness);
      const beside = claimOf();
      assertAcquired(await store.acquire(beside));
      await transaction.rollback();
      assert.equal((await store.find(beside.id))?.state, 'in-flight');
    },
  },
  5: {
    'throws if the commit fails, and leaves nothing': async (harness) => {
      const { store, writeUncommittable, isWritten } = harness;
      if (writeUncommittable === undefined) return;
      const { transaction, request, row } = await written(harness);
      await transaction.run(() =>
        writeUncommittable(transaction.manager as OperationTransaction, newId()),
      );
      await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
      await assert.rejects(transaction.commit());
      await transaction.rollback();
      assert.equal(await isWritten(row), false);
      assert.equal(await store.find(request.id), undefined);
    },

    'does not commit what a failed statement has aborted': async (harness) => {
      const { store, write, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      const other = newId();
      try {
        await transaction.run(() => write(transaction.manager as OperationTransaction, row));
        await transaction.run(() => write(transaction.manager as OperationTransaction, other));
      } catch {
        // A handler may swallow it.
      }
      let isDone = false;
      try {
        isDone = await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
        if (isDone) await transaction.commit();
        else await transaction.rollback();
      } catch {
        isDone = false;
        await transaction.rollback();
      }
      const isThere = (await store.find(request.id)) !== undefined;
      assert.deepEqual([isThere, await isWritten(row)], [isDone, isDone]);
    },
  },
  6: {
    'has as many connections after many transactions as before': async (harness) => {
      const { store, connections } = harness;
      const finished = await written(harness);
      await finished.transaction.complete({ ...finished.request, reply: REPLY, ttlMs: LONG_MS });
      await finished.transaction.commit();
      for (let round = 0; round < 2 * connections + 2; round += 1) {
        await (await begin(store)).rollback();
        await claimOnce(store, again(finished.request));
        const { transaction } = await written(harness);
        await transaction.rollback();
      }
      const open = await Promise.all(Array.from({ length: connections }, () => begin(store)));
      for (const transaction of open) await transaction.rollback();
    },

    'can be rolled back more than once, and after its commit': async (harness) => {
      const { store, isWritten } = harness;
      const { transaction, request, row } = await written(harness);
      await transaction.complete({ ...request, reply: REPLY, ttlMs: LONG_MS });
      await transaction.commit();
      await transaction.rollback();
      const undone = await begin(store);
      await undone.rollback();
      await undone.rollback();
      assert.equal(await isWritten(row), true);
    },
  },
};

/**
 * What every store must do whose records can be in the transaction of the work, as cases for any test
 * runner; for an executor of `SqlStore` in particular. Run them one after the other, against a real server,
 * with two clients and at least three connections each.
 *
 * @example
 * for (const { guarantee, name, run } of transactionContract) {
 *   test(`${guarantee}: ${name}`, () => run({ store, other, write, isWritten, connections: 4 }));
 * }
 */
export const transactionContract: readonly TransactionCase[] = Object.entries(CASES).flatMap(
  ([guarantee, cases]) =>
    Object.entries(cases).map(([name, run]) => ({
      guarantee: Number(guarantee) as TransactionGuarantee,
      name,
      run,
    })),
);
