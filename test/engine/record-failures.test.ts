import { beginLayers } from '../../src/engine/layers.js';
import { StoreFullError } from '../../src/engine/store.js';
import {
  failAfter,
  failBefore,
  type Fault,
  hang,
  hangAfter,
  throwBefore,
} from '../../src/testing/index.js';
import {
  bytes,
  claimIn,
  expectNothingLeft,
  type Given,
  LEASE_MS,
  newWorld,
  operation,
  STORE_TIMEOUT_MS,
} from '../support/engine.js';

expectNothingLeft();

const FAILS = { onRecordFailure: 'fail', onAbandoned: 'hold' } as const;
const REPLY = bytes('paid');

describe("with onRecordFailure: 'fail', a reply that the store did not take", () => {
  test.each<[how: string, fault: () => Fault]>([
    ['throws', () => throwBefore()],
    ['fails before it writes', () => failBefore()],
    ['fails after it has written', () => failAfter()],
    ['hangs', () => hang()],
    ['writes and hangs', () => hangAfter()],
    ['has no room, not even for a tombstone', () => throwBefore(new StoreFullError('full'))],
  ])('is not sent, and is on record when the store is back: the store %s', async (_, fault) => {
    const world = newWorld();
    world.store.always('complete', fault());
    const claim = await world.process.claim(FAILS);
    const settling = claim.complete(REPLY);
    await world.advance(3 * STORE_TIMEOUT_MS);
    expect(await settling).toMatchObject({ outcome: 'unrecorded' });
    const others = [world.process, world.start()];
    for (const process of others)
      expect(await process.ask(FAILS)).toMatch(/IDEMPOTENCY_KEY_IN_USE|replay paid/);
    world.store.heal();
    await world.advance(10_000);
    for (const process of others)
      expect(await process.ask(FAILS)).toMatch(/^replay (paid|tombstone)$/);
    expect(world.record().attempt).toBe(1);
  });

  test('is held when its process never comes back', async () => {
    const world = newWorld();
    world.store.always('complete', failBefore()).always('extend', failBefore());
    const claim = await world.process.claim(FAILS);
    expect(await claim.complete(REPLY)).toMatchObject({ outcome: 'unrecorded' });
    await world.advance(LEASE_MS);
    expect(await world.start().ask(FAILS)).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
    world.store.heal();
    await world.advance(10_000);
  });

  test('is what a duplicate in the same process waits for', async () => {
    const world = newWorld();
    world.store.always('complete', failBefore());
    const claim = await world.process.claim(FAILS);
    await claim.complete(REPLY);
    const duplicate = world.process.ask({ ...FAILS, waitMs: 20_000 });
    world.store.heal();
    await world.advance(10_000);
    expect(await duplicate).toBe('replay paid');
  });

  test('is a tombstone where there is room for that, which may be told', async () => {
    const world = newWorld();
    world.store.next('complete', throwBefore(new StoreFullError('full')));
    const claim = await world.process.claim(FAILS);
    expect(await claim.complete(REPLY)).toEqual({ outcome: 'stored' });
    expect(await world.process.ask(FAILS)).toBe('replay tombstone');
  });

  test.each<[string, Given]>([
    ['a record', { id: 'outer' }],
    ['a lock', { id: 'lock', fingerprint: '', keepsReply: false }],
  ])('is not sent when a layer around it is on record: %s', async (_, outer) => {
    const world = newWorld();
    world.store.next('complete', failBefore());
    const layers = [outer, { ...FAILS, id: 'inner' }].map(operation);
    const claim = claimIn(await beginLayers(world.process.engine, layers));
    expect(await claim.complete(REPLY)).toMatchObject({ outcome: 'unrecorded' });
    await world.advance(10_000);
    expect(await world.process.ask({ ...FAILS, id: 'inner' })).toBe('replay paid');
  });

  test('fails a step whose result is not on record', async () => {
    const world = newWorld();
    world.store.next('saveStep', failBefore());
    const claim = await world.process.claim(FAILS);
    await expect(async () => claim.saveStep('charge', REPLY)).rejects.toThrow('store failed');
    await claim.release();
  });
});
