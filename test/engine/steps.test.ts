import { failAfter, failBefore, hang } from '../../src/testing/index.js';
import {
  bytes,
  expectNothingLeft,
  LEASE_MS,
  newWorld,
  STORE_TIMEOUT_MS,
  textOf,
} from '../support/engine.js';
import type { Claim } from '../../src/engine/claim.js';

expectNothingLeft();

function stepsOf(claim: Claim): Record<string, string> {
  return Object.fromEntries([...claim.steps].map(([name, value]) => [name, textOf(value)]));
}

describe('steps', () => {
  test('are there for every later attempt, released or taken over', async () => {
    const world = newWorld();
    const first = await world.process.claim();
    expect(await first.saveStep('charge', bytes('charge 1'))).toBe(true);
    await first.release();

    const crashing = world.startPaused();
    const second = await crashing.claim();
    expect(stepsOf(second)).toEqual({ charge: 'charge 1' });
    await second.saveStep('ship', bytes('parcel 7'));
    world.crash(crashing);
    await world.advance(LEASE_MS);

    const third = await world.process.claim();
    expect(third.attempt).toBe(3);
    expect(stepsOf(third)).toEqual({ charge: 'charge 1', ship: 'parcel 7' });
    await third.complete(bytes('done'));
  });

  test('bind the operation to its content', async () => {
    const { process } = newWorld();
    const claim = await process.claim({ fingerprint: 'one' });
    await claim.saveStep('charge', bytes('charged'));
    await claim.release();
    expect(await process.ask({ fingerprint: 'another' })).toBe('IDEMPOTENCY_KEY_REUSED');
  });

  test('without any, a released key takes new content', async () => {
    const { process } = newWorld();
    await (await process.claim({ fingerprint: 'one' })).release();
    const claim = await process.claim({ fingerprint: 'another' });
    expect(claim.attempt).toBe(1);
    await claim.release();
  });

  test.each([
    ['release', (claim: Claim) => claim.release()],
    ['hold', (claim: Claim) => claim.hold('why')],
  ] as const)('that could not be saved are saved before a %s', async (verb, settle) => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    store.next('saveStep', failBefore());
    expect(await claim.saveStep('charge', bytes('charged'))).toBe(true);
    expect(process.eventsOf('step-not-saved')).toHaveLength(1);
    await settle(claim);
    expect(world.record()).toMatchObject({ state: verb === 'hold' ? 'held' : 'released' });
    expect([...world.record().steps.keys()]).toEqual(['charge']);
    expect(store.calls.map((call) => call.verb).slice(-2)).toEqual(['saveStep', verb]);
  });

  test.each([
    ['fails before it writes', failBefore()],
    ['fails after it has written', failAfter()],
    ['does not answer', hang()],
  ])('keep the claim while the store %s', async (_how, fault) => {
    const world = newWorld();
    const { process, store } = world;
    const claim = await process.claim();
    store.always('saveStep', fault);
    const saved = claim.saveStep('charge', bytes('charged'));
    await world.advance(STORE_TIMEOUT_MS);
    expect(await saved).toBe(true);
    const released = claim.release();
    await world.advance(STORE_TIMEOUT_MS);
    await released;
    // Nobody runs before the step is safe.
    expect(world.record().state).toBe('in-flight');
    expect(await process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await world.advance(2 * LEASE_MS);
    expect(world.record().state).toBe('in-flight');
    store.heal();
    await world.advance(LEASE_MS);
    const next = await process.claim();
    expect(stepsOf(next)).toEqual({ charge: 'charged' });
    await next.release();
  });

  test('are not saved for a claim that is lost, which is told so', async () => {
    const world = newWorld();
    const paused = world.startPaused();
    const claim = await paused.claim();
    await world.advance(LEASE_MS);
    const winner = await world.process.claim();
    expect(claim.signal.aborted).toBe(false);
    expect(await claim.saveStep('charge', bytes('charged twice'))).toBe(false);
    expect(claim.signal.aborted).toBe(true);
    expect(paused.reported).toContain('lease-lost');
    expect(world.record().steps.size).toBe(0);
    await winner.complete(bytes('won'));
    await claim.release();
    expect(world.reply).toBe('won');
  });
});
