import type { AbandonedDecision, AbandonedOperation } from '../../src/engine/operation.js';
import {
  answerLate,
  delayUntil,
  failAfter,
  failBefore,
  Gate,
  hangAfter,
} from '../../src/testing/index.js';
import type { Process, World } from '../support/engine.js';
import {
  bytes,
  expectNothingLeft,
  follow,
  type Given,
  LEASE_MS,
  newWorld,
  settled,
  STORE_TIMEOUT_MS,
  textOf,
} from '../support/engine.js';

expectNothingLeft();

/** An operation whose owner died after one step. */
async function abandoned(): Promise<World> {
  const world = newWorld();
  const crashing = world.startPaused();
  const claim = await crashing.claim();
  await claim.saveStep('charge', bytes('charge 1'));
  world.crash(crashing);
  await world.advance(LEASE_MS);
  return world;
}

describe('an operation whose owner fell silent', () => {
  test('is left alone while its lease runs', async () => {
    const world = newWorld();
    const crashing = world.startPaused();
    await crashing.claim();
    world.crash(crashing);
    await world.advance(LEASE_MS - 1);
    expect(await world.process.ask()).toBe('IDEMPOTENCY_KEY_IN_USE');
    await world.advance(1);
    const claim = await world.process.claim();
    expect(claim.attempt).toBe(2);
    await claim.release();
  });

  test('runs again without being asked about, as attempt 2', async () => {
    const { process } = await abandoned();
    const claim = await process.claim();
    expect(claim.attempt).toBe(2);
    await claim.complete(bytes('paid'));
    expect(process.reported).toEqual(['taken-over', 'executed', 'stored']);
  });

  test('is held where the policy says so, and its handler does not run', async () => {
    const world = await abandoned();
    const { process } = world;
    expect(await process.ask({ onAbandoned: 'hold' })).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(world.record()).toMatchObject({ state: 'held', attempt: 2 });
    expect(await process.ask()).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(process.reported).toEqual(['taken-over', 'held', 'rejected', 'rejected']);
  });

  test('runs again when recover says rerun, whatever the policy', async () => {
    const { process } = await abandoned();
    const asked: AbandonedOperation[] = [];
    const recover = (operation: AbandonedOperation): 'rerun' => {
      asked.push(operation);
      return 'rerun';
    };
    const claim = await process.claim({ recover, onAbandoned: 'hold' });
    expect(asked).toEqual([{ attempt: 2, steps: claim.steps }]);
    expect(textOf(claim.steps.get('charge') ?? bytes(''))).toBe('charge 1');
    await claim.release();
  });

  test('is held when recover says hold, whatever the policy', async () => {
    const { process } = await abandoned();
    expect(await process.ask({ recover: () => 'hold' })).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
  });

  test('gets the reply that recover found out', async () => {
    const world = await abandoned();
    let asked = 0;
    const recover = async (): Promise<Uint8Array> => {
      asked += 1;
      return bytes('found out');
    };
    expect(await world.process.ask({ recover })).toBe('replay found out');
    expect(world.reply).toBe('found out');
    expect(await world.process.ask({ recover })).toBe('replay found out');
    expect(asked).toBe(1);
    expect(world.process.reported).not.toContain('executed');
  });

  test('is asked about again by the next caller when recover fails', async () => {
    const world = await abandoned();
    const { process } = world;
    const failing = (): never => {
      throw new Error('the bank does not answer');
    };
    await expect(process.begin({ recover: failing })).rejects.toThrow('the bank does not answer');
    // It keeps the lease that it took: nobody runs in the meantime.
    expect(await process.ask({ recover: failing })).toBe('IDEMPOTENCY_KEY_IN_USE');
    await world.advance(LEASE_MS);
    expect(await process.ask({ recover: () => bytes('found out') })).toBe('replay found out');
  });

  test('is not asked about after an orderly release', async () => {
    const { process } = newWorld();
    await (await process.claim()).release();
    const claim = await process.claim({ recover: () => 'hold' });
    expect(claim.attempt).toBe(2);
    await claim.release();
  });

  test('is asked about once, however many callers come, and all get the answer', async () => {
    const { process } = await abandoned();
    const gate = new Gate();
    let asked = 0;
    const recover = async (): Promise<Uint8Array> => {
      asked += 1;
      await gate.pass();
      return bytes('found out');
    };
    const told = Promise.all(
      Array.from({ length: 20 }, () => process.ask({ recover, waitMs: LEASE_MS })),
    );
    await gate.reached();
    gate.open();
    expect(new Set(await told)).toEqual(new Set(['replay found out']));
    expect(asked).toBe(1);
  });

  describe('whose claim is lost while recover is asked', () => {
    /** Recover answers only when somebody else has taken over. */
    async function overtaken(decision: AbandonedDecision | Uint8Array, waitMs: number) {
      const world = await abandoned();
      const paused = world.startPaused();
      const gate = new Gate();
      const recover = async (): Promise<AbandonedDecision | Uint8Array> => {
        await gate.pass();
        return decision;
      };
      const slow = follow(paused.ask({ recover, waitMs }));
      await gate.reached();
      await world.advance(LEASE_MS);
      const winner = await world.process.claim();
      // The paused process wakes up: its renewal is refused.
      await paused.clock.advance(LEASE_MS);
      gate.open();
      await settled();
      return { world, slow, winner };
    }

    const DECISIONS: [name: string, decision: AbandonedDecision | Uint8Array][] = [
      ['rerun', 'rerun'],
      ['hold', 'hold'],
      ['a reply', bytes('found out')],
    ];

    test.each(DECISIONS)('changes nothing when the answer is %s', async (_name, decision) => {
      const { world, slow, winner } = await overtaken(decision, 0);
      expect(slow.value).toBe('IDEMPOTENCY_KEY_IN_USE');
      expect(world.record()).toMatchObject({ state: 'in-flight', attempt: winner.attempt });
      await winner.complete(bytes('won'));
    });

    test.each(DECISIONS)('waits for the winner when the answer is %s', async (_name, decision) => {
      const { slow, winner } = await overtaken(decision, 2 * LEASE_MS);
      expect(slow.value).toBeUndefined();
      await winner.complete(bytes('won'));
      await settled();
      expect(slow.value).toBe('replay won');
    });
  });
});

describe('a takeover that nobody will use', () => {
  const LATE: [how: string, policy: Given][] = [
    ['is to be held', { onAbandoned: 'hold' }],
    ['is to be asked about', { recover: () => 'hold' }],
  ];

  /** Time passes until whoever took over has been silent for a lease. */
  async function outlive(world: World, asking: Promise<unknown>): Promise<void> {
    await world.advance(STORE_TIMEOUT_MS);
    await asking;
    await world.advance(LEASE_MS);
  }

  async function expectHeld(process: Process, given: Given): Promise<void> {
    expect(await process.ask(given)).toBe('IDEMPOTENCY_OUTCOME_UNKNOWN');
  }

  test.each(LATE)('stays abandoned when it %s and its answer is lost', async (_how, given) => {
    const world = await abandoned();
    world.store.next('acquire', failAfter());
    await outlive(world, world.process.ask(given));
    await expectHeld(world.process, given);
  });

  test.each(LATE)('stays abandoned when it %s and its answer is late', async (_how, given) => {
    const world = await abandoned();
    const gate = new Gate();
    world.store.next('acquire', answerLate(gate));
    await outlive(
      world,
      world.process.ask(given).then(() => gate.open()),
    );
    await settled();
    await expectHeld(world.process, given);
  });

  test.each(LATE)('is given back when it %s but followed a release', async (_how, given) => {
    const world = newWorld();
    await (await world.process.claim()).release();
    const gate = new Gate();
    world.store.next('acquire', delayUntil(gate));
    const asking = world.process.ask(given);
    await world.advance(STORE_TIMEOUT_MS);
    await asking;
    gate.open();
    await settled();
    const claim = await world.process.claim(given);
    // What was given back has not failed, so it does not count.
    expect(claim.attempt).toBe(2);
    await claim.release();
  });

  test.each(LATE)('is given back when it %s but is the first claim', async (_how, given) => {
    for (const fault of [failAfter(), hangAfter(), failBefore()]) {
      const world = newWorld();
      world.store.next('acquire', fault);
      const asking = world.process.ask(given);
      await world.advance(STORE_TIMEOUT_MS);
      expect(await asking).toBe('IDEMPOTENCY_STORE_UNAVAILABLE');
      await (await world.process.claim(given)).release();
    }
  });
});
