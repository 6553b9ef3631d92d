import { EVENT_TYPES, type IdempotencyEvent } from '../../src/engine/events.js';
import { IdempotencyEngine } from '../../src/engine/engine.js';
import { StoreCalls } from '../../src/engine/store-calls.js';
import { failBefore, throwBefore } from '../../src/testing/index.js';
import {
  bytes,
  claimIn,
  expectNothingLeft,
  LEASE_MS,
  newWorld,
  operation,
  type Process,
  settled,
  STORE_TIMEOUT_MS,
  type World,
} from '../support/engine.js';
import { newDeferred } from '../support/deferred.js';

expectNothingLeft();

const OF = { scope: 'POST /payments', strategy: 'unique-key', id: 'payment' };

/** A way to bring an event about, and the event. */
interface Story {
  readonly tell: (world: World, process: Process) => Promise<void>;
  readonly event: Record<string, unknown>;
}

/** Transports tell of messages, and the service of what operators do. */
const OF_OTHERS = ['dropped', 'returned', 'settled', 'forgotten'] as const;
const TOLD = EVENT_TYPES.filter((type) => !(OF_OTHERS as readonly string[]).includes(type));

const STORIES: Record<Exclude<IdempotencyEvent['type'], (typeof OF_OTHERS)[number]>, Story> = {
  claimed: {
    tell: async (_world, process) => (await process.claim()).release(),
    event: { attempt: 1, fencingToken: expect.any(Number) },
  },
  'taken-over': {
    tell: async (world, process) => {
      const crashing = world.startPaused();
      await crashing.claim();
      world.crash(crashing);
      await world.advance(LEASE_MS);
      await (await process.claim()).release();
    },
    event: { attempt: 2, fencingToken: expect.any(Number) },
  },
  executed: {
    tell: async (world, process) => {
      const claim = await process.claim();
      await world.advance(1_234);
      await claim.release();
    },
    event: { attempt: 1, durationMs: 1_234 },
  },
  stored: {
    tell: async (_world, process) => void (await (await process.claim()).complete(bytes('reply'))),
    event: { attempt: 1 },
  },
  released: {
    tell: async (_world, process) => (await process.claim()).release(),
    event: { attempt: 1 },
  },
  held: {
    tell: async (_world, process) => void (await (await process.claim()).hold('why')),
    event: { attempt: 1, reason: 'why' },
  },
  replayed: {
    tell: async (_world, process) => {
      await (await process.claim()).complete(bytes('reply'));
      await process.ask();
    },
    event: {},
  },
  waited: {
    tell: async (world, process) => {
      const claim = await process.claim();
      const waiting = process.ask({ waitMs: 5_000 });
      await world.advance(1_500);
      await claim.complete(bytes('reply'));
      await waiting;
    },
    event: { durationMs: 1_500 },
  },
  rejected: {
    tell: async (_world, process) => {
      await (await process.claim()).complete(bytes('reply'));
      await process.ask({ fingerprint: 'other content' });
    },
    event: { code: 'IDEMPOTENCY_KEY_REUSED', cause: undefined },
  },
  'lease-lost': {
    tell: async (world, process) => {
      const claim = await process.claim();
      world.store.always('extend', failBefore());
      await world.advance(LEASE_MS);
      await claim.release();
    },
    event: { attempt: 1 },
  },
  'completion-failed': {
    tell: async (world, process) => {
      world.store.next('complete', failBefore(new Error('no route')));
      await (await process.claim()).complete(bytes('reply'));
      await world.advance(1_000);
    },
    event: {
      attempt: 1,
      keeps: 'reply',
      verb: 'complete',
      cause: expect.objectContaining({ cause: new Error('no route') }),
    },
  },
  unprotected: {
    tell: async (world, process) => {
      world.store.next('acquire', failBefore(new Error('no route')));
      await process.ask({ onStoreFailure: 'proceed' });
    },
    event: { cause: expect.objectContaining({ cause: new Error('no route') }) },
  },
  'step-not-saved': {
    tell: async (world, process) => {
      world.store.next('saveStep', failBefore(new Error('no route')));
      const claim = await process.claim();
      await claim.saveStep('charge', bytes('step'));
      await claim.release();
    },
    event: { attempt: 1, cause: expect.objectContaining({ cause: new Error('no route') }) },
  },
  exhausted: {
    tell: async (world, process) => {
      const crashing = world.startPaused();
      await crashing.claim();
      world.crash(crashing);
      await world.advance(LEASE_MS);
      for (let call = 0; call < 2; call++)
        await process.ask({ maxAttempts: { times: 1, afterwards: 'hold' } });
    },
    event: { attempt: 2 },
  },
};

test.each(TOLD)('reports %s, once', async (type) => {
  const world = newWorld();
  const { tell, event } = STORIES[type as keyof typeof STORIES];
  await tell(world, world.process);
  expect(world.process.eventsOf(type)).toEqual([{ type, ...OF, ...event }]);
});

test('tells the way of an operation in order', async () => {
  const { process } = newWorld();
  const first = await process.claim();
  await first.release();
  const second = await process.claim();
  const waiting = process.ask({ waitMs: 1_000 });
  await settled();
  await second.complete(bytes('reply'));
  await waiting;
  expect(process.reported.join(' ')).toBe(
    'claimed executed released claimed executed stored replayed waited',
  );
});

test('says why the store could not be reached', async () => {
  const world = newWorld();
  world.store.next('acquire', throwBefore(new Error('no route')));
  await world.process.ask();
  expect(world.process.eventsOf('rejected')).toEqual([
    {
      type: 'rejected',
      ...OF,
      code: 'IDEMPOTENCY_STORE_UNAVAILABLE',
      cause: expect.objectContaining({ cause: new Error('no route') }),
    },
  ]);
});

test('never carries a reply, a step or a fingerprint', async () => {
  const secrets = ['secret reply', 'secret step', 'secret content', 'secret content of another'];
  const world = newWorld();
  const { process, store } = world;
  const given = { fingerprint: 'secret content', waitMs: 1_000 };
  for (const verb of ['acquire', 'extend', 'saveStep', 'complete'] as const) {
    store.next(verb, failBefore());
  }
  await process.ask(given);
  const claim = await process.claim(given);
  const waiting = process.ask(given);
  await claim.saveStep('charge', bytes('secret step'));
  await world.advance(LEASE_MS / 3);
  await process.ask({ ...given, fingerprint: 'secret content of another' });
  await claim.complete(bytes('secret reply'));
  await waiting;
  await world.advance(1_000);
  await process.ask(given);
  expect(process.reported).toEqual(expect.arrayContaining(['stored', 'replayed', 'rejected']));
  const reported = JSON.stringify(process.events, (_name, value: unknown) =>
    value instanceof Error ? { message: value.message, cause: value.cause } : value,
  );
  for (const secret of secrets) {
    expect(reported).not.toContain(secret);
    expect(reported).not.toContain(JSON.stringify(bytes(secret)));
  }
});

test('reports nothing, and works, while nobody listens', async () => {
  const world = newWorld();
  const { store, clock } = world;
  const emit = (): never => {
    throw new Error('nobody listens');
  };
  const calls = new StoreCalls(store, clock, STORE_TIMEOUT_MS);
  const engine = new IdempotencyEngine(calls, clock, { hasListeners: false, emit }, newDeferred());
  store.next('acquire', failBefore());
  expect(await engine.begin(operation())).toMatchObject({ outcome: 'refused' });
  store.next('complete', failBefore());
  const claim = claimIn(await engine.begin(operation()));
  const waiting = engine.begin(operation({ waitMs: 1_000 }));
  await settled();
  await claim.complete(bytes('reply'));
  expect(await waiting).toMatchObject({ outcome: 'replay' });
  await world.advance(1_000);
  expect(world.reply).toBe('reply');
});
