import { answerLate, Gate } from '../../src/testing/index.js';
import { type Beginning } from '../../src/engine/operation.js';
import {
  bytes,
  claimIn,
  expectNothingLeft,
  newWorld,
  settled,
  tally,
  told,
} from '../support/engine.js';

expectNothingLeft();

const CALLERS = 500;

/** So many identical calls at once; the one that runs completes when the gate opens. */
async function call(begin: () => Promise<Beginning>, gate: Gate): Promise<string[]> {
  return Promise.all(
    Array.from({ length: CALLERS }, async () => {
      const beginning = await begin();
      if (beginning.outcome !== 'execute') return told(beginning);
      await gate.pass();
      await claimIn(beginning).complete(bytes('paid'));
      return 'ran';
    }),
  );
}

describe.each([
  ['at once', newWorld],
  ['with promises', () => newWorld().answerLater()],
])(`${CALLERS} identical calls at once, over a store that answers %s`, (_how, start) => {
  test('run once and share one claim; with wait all get the same reply', async () => {
    const { process, store } = start();
    const gate = new Gate();
    const calls = call(async () => process.begin({ waitMs: 10_000 }), gate);
    await gate.reached();
    await settled();
    gate.open();
    expect(tally(await calls)).toEqual({ ran: 1, 'replay paid': CALLERS - 1 });
    expect(store.calls.map(({ verb }) => verb)).toEqual(['acquire', 'complete']);
  });

  test('run once; without wait the others are refused and told when to come again', async () => {
    const { process, store } = start();
    const gate = new Gate();
    const retryAfterMs = new Set<unknown>();
    const calls = call(async () => {
      const beginning = await process.begin();
      if (beginning.outcome === 'refused') retryAfterMs.add(beginning.retryAfterMs);
      return beginning;
    }, gate);
    await gate.reached();
    await settled();
    gate.open();
    expect(tally(await calls)).toEqual({ ran: 1, IDEMPOTENCY_KEY_IN_USE: CALLERS - 1 });
    expect(retryAfterMs).toEqual(new Set([1_000]));
    expect(store.count('acquire')).toBe(1);
  });

  test('run once, from eight processes', async () => {
    const world = start();
    const processes = Array.from({ length: 8 }, () => world.start());
    const gate = new Gate();
    let next = 0;
    const calls = call(async () => {
      const process = processes[next++ % processes.length];
      if (process === undefined) throw new Error('no process');
      return process.begin({ waitMs: 10_000 });
    }, gate);
    await gate.reached();
    await settled();
    gate.open();
    await world.advance(1_000);
    expect(tally(await calls)).toEqual({ ran: 1, 'replay paid': CALLERS - 1 });
    expect(world.store.count('complete')).toBe(1);
  });
});

test('calls that come while the store is being asked share its answer', async () => {
  const { process, store } = newWorld();
  await (await process.claim()).complete(bytes('paid'));
  const gate = new Gate();
  store.always('acquire', answerLate(gate));
  const calls = Array.from({ length: CALLERS }, () => process.ask());
  gate.open();
  expect(tally(await Promise.all(calls))).toEqual({ 'replay paid': CALLERS });
  expect(store.count('acquire')).toBe(2);
});
