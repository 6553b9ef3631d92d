import type { ContractCase, StoreHarness } from 'nestjs-idempotency/testing';
import { MemoryStore } from 'nestjs-idempotency';
import { setTimeout as sleep } from 'node:timers/promises';
import { runSteadily } from './support/steady.js';

const TICK_MS = 20;
/** Longer than half a tick, and than that of the last run. */
const STALL_MS = 200;

/** Runs a case that fails until it has been run so often, and tells with which ticks it was run. */
async function ticksOf(
  elapse: StoreHarness['elapse'],
  act: (harness: StoreHarness) => unknown,
  passesAt = Infinity,
): Promise<{ ticks: number[]; hasPassed: boolean }> {
  const ticks: number[] = [];
  const store = new MemoryStore();
  const one: ContractCase = {
    guarantee: 5,
    name: 'looks at a lease',
    run: async (harness) => {
      ticks.push(harness.tickMs);
      await act(harness);
      if (ticks.length < passesAt) throw new Error('The lease is over.');
    },
  };
  const hasPassed = await runSteadily(one, { store, other: store, tickMs: TICK_MS, elapse }).then(
    () => true,
    () => false,
  );
  return { ticks, hasPassed };
}

const letTimePass = ({ elapse, tickMs }: StoreHarness): Promise<void> => elapse(tickMs);
const steady = (): Promise<void> => Promise.resolve();

describe('a case of the contract that fails', () => {
  it('is run once on a machine that keeps the time', async () => {
    expect(await ticksOf(steady, letTimePass)).toEqual({ ticks: [TICK_MS], hasPassed: false });
  });

  it('is run once if it looks at no time, such as a race, however slow the store is', async () => {
    const slow = async ({ store }: StoreHarness): Promise<void> => {
      Object.assign(store, { find: () => sleep(STALL_MS) });
      await store.find('slow');
    };
    expect(await ticksOf(steady, slow)).toEqual({ ticks: [TICK_MS], hasPassed: false });
  });

  it('is run again with longer ticks if time passed and the machine stood still', async () => {
    const late = async (harness: StoreHarness): Promise<void> => {
      Object.assign(harness.store, { find: () => sleep(harness.tickMs) });
      await letTimePass(harness);
      await harness.store.find('late');
    };
    expect(await ticksOf(steady, late, 2)).toEqual({
      ticks: [TICK_MS, 2 * TICK_MS],
      hasPassed: true,
    });
    expect((await ticksOf(steady, late)).ticks).toEqual([20, 40, 80, 160, 320]);
  });
});
