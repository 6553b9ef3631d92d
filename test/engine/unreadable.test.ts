import { randomBytes } from 'node:crypto';
import { Seal } from '../../src/encryption/seal.js';
import { SealedStore } from '../../src/encryption/sealed.store.js';
import { answerLate, Gate } from '../../src/testing/index.js';
import { bytes, newWorld, STORE_TIMEOUT_MS } from '../support/engine.js';

describe('a claim whose steps cannot be opened', () => {
  /** An operation that failed behind its first step, and a process that has another key. */
  const failedElsewhere = async () => {
    const world = newWorld();
    const sealed = () => new SealedStore(world.store, new Seal({ keys: [randomBytes(32)] }));
    const claim = await world.start({ store: sealed() }).claim();
    await claim.saveStep('charge', bytes('paid'));
    await claim.release();
    const { owner } = world.record()!;
    return { world, owner, process: world.start({ store: sealed() }) };
  };

  it('is refused, and given back for whoever can open them', async () => {
    const { world, owner, process } = await failedElsewhere();
    expect(await process.ask()).toBe('IDEMPOTENCY_RECORD_UNREADABLE');
    expect(world.record()).toMatchObject({ state: 'released', attempt: 1 });
    expect(world.record()!.owner).not.toBe(owner);
  });

  it('is given back as well when it comes too late', async () => {
    const { world, owner, process } = await failedElsewhere();
    const gate = new Gate();
    world.store.next('acquire', answerLate(gate));
    const asked = process.ask();
    await gate.reached();
    // What is given back before the claim is there changes nothing.
    world.store.next('release', () => Promise.resolve(false));
    await world.advance(STORE_TIMEOUT_MS);
    expect(await asked).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(world.record()).toMatchObject({ state: 'in-flight' });
    gate.open();
    await world.advance(0);
    expect(world.record()).toMatchObject({ state: 'released', attempt: 1 });
    expect(world.record()!.owner).not.toBe(owner);
  });
});
