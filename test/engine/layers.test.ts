import { beginLayers } from '../../src/engine/layers.js';
import type { Precondition, WorkTransaction } from '../../src/engine/resource.js';
import type { StoreTransaction, TransactionalStore } from '../../src/engine/transaction.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import { failBefore, ManualClock, pass } from '../../src/testing/index.js';
import {
  bytes,
  claimIn,
  expectNothingLeft,
  type Given,
  LEASE_MS,
  newWorld,
  operation,
  type Process,
  told,
} from '../support/engine.js';

expectNothingLeft();

const OUTER = { id: 'outer' };
const INNER = { id: 'inner' };
const LOCK = { id: 'lock', fingerprint: '', keepsReply: false, ttlMs: LEASE_MS };
const REPLY = bytes('reply');

const begin = (process: Process, ...layers: Given[]) =>
  beginLayers(process.engine, layers.map(operation));

/** A transaction that writes down what becomes of it. */
class Diary implements WorkTransaction {
  readonly manager = {} as never;
  readonly entries: string[] = [];
  commitError: Error | undefined;

  async begin(): Promise<this> {
    this.entries.push('begin');
    return this;
  }

  run<T>(work: () => T): T {
    return work();
  }

  async commit(): Promise<void> {
    this.entries.push('commit');
    if (this.commitError !== undefined) throw this.commitError;
  }

  async rollback(): Promise<void> {
    this.entries.push('rollback');
  }
}

describe('two layers', () => {
  test('record one reply under both of their keys', async () => {
    const { process } = newWorld();
    const claim = claimIn(await begin(process, OUTER, INNER));
    expect(claim.id).toBe('outer');
    expect(await claim.complete(REPLY)).toEqual({ outcome: 'stored' });

    expect(await process.ask(OUTER)).toBe('replay reply');
    expect(await process.ask(INNER)).toBe('replay reply');
  });

  test.each(['release', 'hold'] as const)('are ended together by %s', async (end) => {
    const world = newWorld();
    const claim = claimIn(await begin(world.process, OUTER, INNER));
    await claim[end]('for a reason');
    const state = end === 'hold' ? 'held' : 'released';
    expect(world.record('outer').state).toBe(state);
    expect(world.record('inner').state).toBe(state);
  });

  test('record the reply of the inner one, when that is finished, as the outer one’s', async () => {
    const world = newWorld();
    await (await world.process.claim(INNER)).complete(REPLY);

    expect(told(await begin(world.process, OUTER, INNER))).toBe('replay reply');
    expect(await world.process.ask(OUTER)).toBe('replay reply');
  });

  test('give the outer one back when the inner one is in flight, or has other content', async () => {
    const world = newWorld();
    const running = await world.process.claim(INNER);
    expect(told(await begin(world.process, OUTER, INNER))).toBe('IDEMPOTENCY_KEY_IN_USE');
    expect(told(await begin(world.process, OUTER, { ...INNER, fingerprint: 'other' }))).toBe(
      'IDEMPOTENCY_KEY_REUSED',
    );
    expect(world.record('outer').state).toBe('released');
    await running.release();
  });

  test('wait for the inner one as long as it says', async () => {
    const { process } = newWorld();
    const running = await process.claim(INNER);
    const waiting = begin(process, OUTER, { ...INNER, waitMs: 5_000 });
    await running.complete(REPLY);
    expect(told(await waiting)).toBe('replay reply');
  });

  test('give the outer one back when the store fails at the inner one', async () => {
    const world = newWorld();
    world.store.next('acquire', pass, failBefore());
    expect(told(await begin(world.process, OUTER, INNER))).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(world.record('outer').state).toBe('released');
  });
});

describe('a precondition', () => {
  const met: Precondition = { check: () => undefined };

  test('that is not met gives all claims back', async () => {
    const world = newWorld();
    const precondition: Precondition = { check: () => ({ code: 'IDEMPOTENCY_STATE_CONFLICT' }) };
    expect(told(await begin(world.process, OUTER, { ...INNER, precondition }))).toBe(
      'IDEMPOTENCY_STATE_CONFLICT',
    );
    expect(world.record('outer').state).toBe('released');
    expect(world.record('inner').state).toBe('released');
  });

  test('that cannot be asked is a store that fails', async () => {
    const world = newWorld();
    const precondition: Precondition = { check: () => Promise.reject(new Error('away')) };
    expect(told(await begin(world.process, { ...OUTER, precondition }))).toBe(
      'IDEMPOTENCY_STORE_UNAVAILABLE',
    );
    expect(world.record('outer').state).toBe('released');
  });

  test('is not asked when there is a reply', async () => {
    const { process } = newWorld();
    await (await process.claim(OUTER)).complete(REPLY);
    const precondition: Precondition = { check: () => ({ code: 'IDEMPOTENCY_STATE_CONFLICT' }) };
    expect(told(await begin(process, { ...OUTER, precondition }))).toBe('replay reply');
  });

  test('whose last word fails undoes the operation', async () => {
    const world = newWorld();
    const cause = new Error('not to be concluded');
    const precondition: Precondition = { ...met, conclude: () => Promise.reject(cause) };
    const claim = claimIn(await begin(world.process, { ...OUTER, precondition }));
    expect(await claim.complete(REPLY)).toEqual({ outcome: 'undone', cause, why: 'undone' });
    expect(world.record('outer').state).toBe('released');
  });
});

describe('work in a transaction of its own', () => {
  const start = async (...layers: Given[]) => {
    const world = newWorld();
    const diary = new Diary();
    const precondition: Precondition = { check: () => undefined, transactions: diary };
    const process = world.startPaused();
    const claim = claimIn(await begin(process, ...layers, { ...INNER, precondition }));
    return { world, process, diary, claim };
  };

  test('commits before the reply is recorded', async () => {
    const { world, diary, claim } = await start();
    expect(claim.manager).toBe(diary.manager);
    await claim.complete(REPLY);
    expect(diary.entries).toEqual(['begin', 'commit']);
    expect(await world.process.ask(INNER)).toBe('replay reply');
  });

  test('leaves the record free when the commit fails', async () => {
    const { world, diary, claim } = await start();
    diary.commitError = new Error('cut off');
    expect(await claim.complete(REPLY)).toEqual({
      outcome: 'undone',
      cause: diary.commitError,
      why: 'unknown',
    });
    expect(world.record('inner').state).toBe('released');
  });

  test.each(['fail', 'release', 'hold'] as const)('is rolled back by %s', async (end) => {
    const { diary, claim } = await start();
    await claim[end](REPLY as never);
    expect(diary.entries).toEqual(['begin', 'rollback']);
  });

  test('is rolled back when a lock around it was lost meanwhile', async () => {
    const { world, process, diary, claim } = await start(LOCK);
    await world.advance(LEASE_MS);
    const next = await world.process.claim(LOCK);
    await process.clock.advance(LEASE_MS);

    expect(await claim.complete(REPLY)).toEqual({ outcome: 'lost' });
    expect(diary.entries).toEqual(['begin', 'rollback']);
    await next.complete(REPLY);
  });
});

/** Records that may be part of a transaction, which writes down what becomes of the work. */
class TransactionalMemory extends MemoryStore implements TransactionalStore {
  readonly entries: string[] = [];

  checkSource(): void {}

  async beginTransaction(): Promise<StoreTransaction> {
    const note = async (entry: string): Promise<void> => void this.entries.push(entry);
    return {
      manager: {} as never,
      acquire: async (request) => this.acquire(request),
      saveStep: async (request) => this.saveStep(request),
      complete: async (request) => this.complete(request),
      release: async (request) => this.release(request),
      hold: async (request) => this.hold(request),
      undoWork: async () => note('undo'),
      commit: async () => note('commit'),
      rollback: async () => note('rollback'),
      run: (work) => work(),
    };
  }
}

describe('a lock around which there are records', () => {
  /** The layers have run until the lock, and maybe others, have gone to another process. */
  const losing = async (layers: Given[], lost: Given[], store?: MemoryStore) => {
    const world = newWorld();
    const process = world.start({ clock: new ManualClock(), store });
    const other = store === undefined ? world.process : world.start({ store });
    const claim = claimIn(await begin(process, ...layers));
    await world.advance(LEASE_MS);
    const winners = await Promise.all(lost.map((one) => other.claim(one)));
    const end = async (): Promise<void> => {
      for (const winner of winners) await winner.complete(bytes('of the winner'));
    };
    return { world, other, claim, end };
  };

  test.each([
    ['outside', [LOCK, OUTER]],
    ['inside', [OUTER, LOCK]],
  ])('gives the fencing token, because it keeps others out: %s', async (_where, layers) => {
    const { process, memory } = newWorld();
    const claim = claimIn(await begin(process, ...layers));
    expect(claim.fencingToken).toBe(memory.find('lock')!.fencingToken);
    expect(claim.fencingToken).not.toBe(memory.find('outer')!.fencingToken);
    await claim.complete(REPLY);
  });

  test.each(['complete', 'fail'] as const)(
    'does not release them when it is lost before %s: what was done is on record',
    async (how) => {
      const { world, claim, end } = await losing([OUTER, INNER, LOCK], [LOCK]);
      expect(await claim[how](REPLY)).toEqual({ outcome: 'lost' });
      expect(await world.process.ask(INNER)).toBe('replay reply');
      expect(await world.process.ask(OUTER)).toBe('replay reply');
      expect(world.record('lock').state).toBe('in-flight');
      await end();
    },
  );

  test('and is lost together with one of them leaves no reply around that one', async () => {
    const { world, claim, end } = await losing([OUTER, INNER, LOCK], [LOCK, INNER]);
    expect(await claim.complete(REPLY)).toEqual({ outcome: 'lost' });
    await end();
    // Who comes again runs, and finds what the winner of the inner record has left.
    expect(told(await begin(world.process, OUTER, INNER))).toBe('replay of the winner');
    expect(await world.process.ask(OUTER)).toBe('replay of the winner');
  });

  test('undoes work that has failed, also when it was lost', async () => {
    const clock = new ManualClock();
    const store = new TransactionalMemory({ clock });
    const layers = [{ ...OUTER, transaction: { source: undefined } }, LOCK];
    const { other, claim, end } = await losing(layers, [], store);
    await clock.advance(LEASE_MS);
    const next = await other.claim(LOCK);
    expect(await claim.fail(REPLY)).toEqual({ outcome: 'lost' });
    expect(store.entries).toEqual(['undo', 'commit']);
    expect(await other.ask(OUTER)).toBe('replay reply');
    await next.complete(REPLY);
    await end();
  });
});
