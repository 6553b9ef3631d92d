import { StoreFullError } from '../../src/engine/store.js';
import { shardedStore } from '../../src/stores/sharded/index.js';
import { MemoryStore } from '../../src/stores/memory/index.js';
import {
  answerLate,
  FaultInjectingStore,
  failBefore,
  Gate,
  delayUntil,
  hang,
  throwBefore,
} from '../../src/testing/index.js';
import {
  bytes,
  type Given,
  expectNothingLeft,
  follow,
  newWorld,
  type Process,
  settled,
  STORE_TIMEOUT_MS,
  tally,
  textOf,
  told as inAWord,
  type World,
} from '../support/engine.js';

// After each test no timer is left, so a store that is well again is not probed any more.
expectNothingLeft();

const UNAVAILABLE = 'IDEMPOTENCY_STORE_UNAVAILABLE';
const CIRCUIT = { failures: 3, pauseMs: 1_000 };

let keys = 0;
const newId = (): string => `call ${(keys += 1)}`;

/** What a call gets, in a word. One that would run gives its claim back. */
async function told(process: Process, given?: Given): Promise<string> {
  const beginning = await process.begin(given);
  if (beginning.outcome === 'execute') await beginning.claim.release();
  return inAWord(beginning);
}

function ask(process: Process): Promise<string> {
  return told(process, { id: newId() });
}

/** So many claims fail, one after the other. */
async function fail(world: World, process: Process, times: number): Promise<void> {
  world.store.next('acquire', ...Array.from({ length: times }, () => failBefore()));
  for (let i = 0; i < times; i++) expect(await ask(process)).toBe(UNAVAILABLE);
  await settled();
}

function verbs(world: World): Record<string, number> {
  return tally(world.store.calls.map(({ verb }) => verb));
}

describe('a store that keeps failing', () => {
  test('is not asked any more, and calls are refused without a promise', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    world.store.always('acquire', hang());
    const first = [ask(process), ask(process), ask(process)];
    await world.advance(STORE_TIMEOUT_MS);
    expect(await Promise.all(first)).toEqual([UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
    const asked = verbs(world);

    const beginning = process.begin({ id: newId() });
    expect(beginning).toMatchObject({
      code: UNAVAILABLE,
      cause: { name: 'StoreUnavailableError' },
    });
    await settled();
    expect(verbs(world)).toEqual(asked);
    expect(process.engine.isIdle).toBe(true);
    process.engine.stop();
  });

  test('is asked again after a pause, by a read of its own, and all calls run', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    await fail(world, process, 3);
    world.store.always('find', failBefore());
    await world.advance(2 * CIRCUIT.pauseMs);
    expect(await ask(process)).toBe(UNAVAILABLE);
    expect(verbs(world)['find']).toBe(2);

    world.store.heal();
    await world.advance(CIRCUIT.pauseMs);
    expect([await ask(process), await ask(process)]).toEqual(['execute', 'execute']);
    expect(process.circuitChanges).toMatchObject([
      { state: 'open', cause: { message: 'injected: the store was not reached' } },
      { state: 'closed' },
    ]);
  });

  test('that answers reads gets one claim; until that has succeeded, all others are refused', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    await fail(world, process, 3);
    await world.advance(CIRCUIT.pauseMs);
    const gate = new Gate();
    world.store.next('acquire', delayUntil(gate));
    const trial = ask(process);
    expect([await ask(process), await ask(process)]).toEqual([UNAVAILABLE, UNAVAILABLE]);
    gate.open();
    expect(await trial).toBe('execute');
    expect(await ask(process)).toBe('execute');
  });

  test.each([
    ['throws at', throwBefore, 0],
    ['never answers', hang, STORE_TIMEOUT_MS],
  ])('and %s that one claim gets another one after the pause', async (_, fault, ms) => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    await fail(world, process, 3);
    await world.advance(CIRCUIT.pauseMs);
    world.store.next('acquire', fault());
    const trial = ask(process);
    await world.advance(ms);
    expect(await trial).toBe(UNAVAILABLE);
    expect(await ask(process)).toBe(UNAVAILABLE);
    await world.advance(CIRCUIT.pauseMs);
    expect([await ask(process), await ask(process)]).toEqual(['execute', 'execute']);
  });

  test('that takes no writes stays shut, and is reported once', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    world.store.always('acquire', failBefore());
    await fail(world, process, 3);
    for (let i = 0; i < 3; i++) {
      await world.advance(CIRCUIT.pauseMs);
      expect([await ask(process), await ask(process)]).toEqual([UNAVAILABLE, UNAVAILABLE]);
    }
    expect(verbs(world)['acquire']).toBe(3 + 3);
    expect(process.circuitChanges).toHaveLength(1);
    process.engine.stop();
  });

  test('still records what began before', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    const claim = await process.claim();
    await fail(world, process, 3);
    expect(await claim.complete(bytes('paid'))).toEqual({ outcome: 'stored' });
    expect(world.reply).toBe('paid');
    process.engine.stop();
  });

  test('leaves calls that may run unprotected without a delay', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    await fail(world, process, 3);
    expect(await told(process, { id: newId(), onStoreFailure: 'proceed' })).toBe('unprotected');
    process.engine.stop();
  });
});

describe('a store that only fails now and then', () => {
  test('is always asked', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    for (let i = 0; i < 3; i++) {
      await fail(world, process, 2);
      expect(await ask(process)).toBe('execute');
    }
    expect(process.circuitChanges).toEqual([]);
  });

  test('or fails with only one record is asked for all others, however often that one is tried', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    for (let i = 0; i < 5; i++) {
      world.store.next('acquire', failBefore());
      expect(await told(process, { id: 'locked row' })).toBe(UNAVAILABLE);
    }
    expect(await ask(process)).toBe('execute');
    expect(process.circuitChanges).toEqual([]);
  });

  test('or is only full answers duplicates', async () => {
    const world = newWorld();
    const process = world.start({ circuit: CIRCUIT });
    const claim = await process.claim();
    await claim.complete(bytes('paid'));
    world.store.next(
      'acquire',
      ...Array.from({ length: 5 }, () => failBefore(new StoreFullError('full'))),
    );
    for (let i = 0; i < 5; i++) expect(await ask(process)).toBe(UNAVAILABLE);
    expect(await told(process)).toBe('replay paid');
  });
});

test('of several stores side by side, only the failing one is shut', async () => {
  const world = newWorld();
  const shards = [0, 1].map(() => new FaultInjectingStore(new MemoryStore({ clock: world.clock })));
  const process = world.start({ store: shardedStore(shards), circuit: CIRCUIT });
  const onShard = (shard: number): string => {
    keys += 1;
    return (2 * keys + shard).toString(16).padStart(8, '0');
  };
  shards[1]!.always('acquire', hang());
  const failing = [1, 1, 1].map((shard) => told(process, { id: onShard(shard) }));
  await world.advance(STORE_TIMEOUT_MS);
  expect(await Promise.all(failing)).toEqual([UNAVAILABLE, UNAVAILABLE, UNAVAILABLE]);
  expect(follow(process.begin({ id: onShard(1) })).value).toBeUndefined();
  expect(shards[1]!.calls.filter(({ verb }) => verb === 'acquire')).toHaveLength(3);
  const claim = await process.claim({ id: onShard(0) });
  await claim.complete(bytes('paid'));
  expect(process.circuitChanges).toMatchObject([{ state: 'open', part: 'shard 2 of 2' }]);
  process.engine.stop();
});

describe('replies that the process keeps', () => {
  const REPLAYS = { maxBytes: 10_000, maxAgeMs: 10_000 };

  async function finish(process: Process, reply: string, id = 'payment'): Promise<void> {
    const claim = await process.claim({ id });
    await claim.complete(bytes(reply));
  }

  test('are answered without asking the store, to the same content only', async () => {
    const world = newWorld();
    const process = world.start({ replays: REPLAYS });
    await finish(process, 'paid');
    const asked = world.store.calls.length;
    expect(await told(process)).toBe('replay paid');
    expect(await told(process, { onDuplicate: 'reject' })).toBe('IDEMPOTENCY_DUPLICATE');
    expect(world.store.calls).toHaveLength(asked);
    expect(await told(process, { fingerprint: 'other' })).toBe('IDEMPOTENCY_KEY_REUSED');
    expect(process.eventsOf('replayed')).toHaveLength(1);
  });

  test('are also those of other processes, once the store has given them', async () => {
    const world = newWorld();
    await finish(world.process, 'paid');
    const process = world.start({ replays: REPLAYS });
    expect(await told(process)).toBe('replay paid');
    const asked = world.store.calls.length;
    expect(await told(process)).toBe('replay paid');
    expect(world.store.calls).toHaveLength(asked);
  });

  test.each([
    ['its record', { ttlMs: 5_000 }, 5_000, 'execute'],
    ['the longest that it may be kept', {}, REPLAYS.maxAgeMs, 'replay paid'],
  ])('are kept no longer than %s', async (_, policy, ms, then) => {
    const world = newWorld();
    const process = world.start({ replays: REPLAYS });
    const claim = await process.claim(policy);
    await claim.complete(bytes('paid'));
    await world.advance(ms - 1);
    const asked = verbs(world)['acquire']!;
    expect(await told(process)).toBe('replay paid');
    expect(verbs(world)['acquire']).toBe(asked);
    await world.advance(1);
    expect(await told(process)).toBe(then);
    expect(verbs(world)['acquire']).toBe(asked + 1);
  });

  test('go with a record that is forgotten, in whatever place it is', async () => {
    const world = newWorld();
    const process = world.start({ replays: REPLAYS });
    await finish(process, 'paid');
    expect(await process.engine.forget('payment')).toBe(true);
    expect(await told(process)).toBe('execute');
  });

  test('are not answers that were on their way when their record was forgotten', async () => {
    const world = newWorld();
    await finish(world.process, 'paid');
    const process = world.start({ replays: REPLAYS });
    const gate = new Gate();
    world.store.next('acquire', answerLate(gate));
    const late = told(process);
    await gate.reached();
    expect(await process.engine.forget('payment')).toBe(true);
    gate.open();
    expect(await late).toBe('replay paid');
    expect(await told(process)).toBe('execute');
  });

  test('are not those that the store does not have, nor what a claim without a record ends with', async () => {
    const world = newWorld();
    const process = world.start({ replays: REPLAYS });
    const claim = await process.claim();
    world.store.next('complete', failBefore());
    await claim.complete(bytes('paid'));
    const lock = await process.claim({ id: 'lock', keepsReply: false });
    await lock.complete(bytes('unlocked'));
    world.memory.forget('lock');
    expect(await told(process, { id: 'lock', keepsReply: false })).toBe('execute');
  });

  test('take no more room than they may, and those used least go first', async () => {
    const world = newWorld();
    const process = world.start({ replays: { ...REPLAYS, maxBytes: 3_000 } });
    for (const id of ['a', 'b']) await finish(process, 'x'.repeat(900), id);
    await told(process, { id: 'a' });
    await finish(process, 'x'.repeat(900), 'c');
    await finish(process, 'x'.repeat(5_000), 'too large');
    const asked = (): number => world.store.calls.length;
    const whoAsks: string[] = [];
    for (const id of ['a', 'c', 'b', 'too large']) {
      const before = asked();
      expect(await told(process, { id })).toMatch(/^replay x/);
      if (asked() > before) whoAsks.push(id);
    }
    expect(whoAsks).toEqual(['b', 'too large']);
  });

  test('are copies, which nobody else can change', async () => {
    const world = newWorld();
    const process = world.start({ replays: REPLAYS });
    const reply = bytes('paid');
    await (await process.claim()).complete(reply);
    reply.fill(0);
    const again = await process.begin();
    expect(again.outcome === 'replay' && textOf(again.reply)).toBe('paid');
  });
});

test('a kept reply of one place answers nobody at another that has the same ids', async () => {
  const world = newWorld();
  const tenants = [1, 2].map(() => new MemoryStore({ clock: world.clock }));
  let tenant = 0;
  const store = new MemoryStore({ clock: world.clock });
  Object.assign(store, { ofCall: () => tenants[tenant]! });
  const process = world.start({ store, replays: { maxBytes: 10_000, maxAgeMs: 10_000 } });
  await (await process.claim()).complete(bytes('paid by the first'));
  expect(await told(process)).toBe('replay paid by the first');
  tenant = 1;
  expect(await told(process)).toBe('execute');
});
