import { MemoryStore } from '../../src/stores/memory/index.js';
import { ManualClock, storeContract } from '../../src/testing/index.js';
import { type Sabotage, SABOTAGES, verbsOf } from '../support/store-sabotage/index.js';

/** The cases that fail, as `guarantee: name`. */
async function failures(sabotage: Sabotage): Promise<string[]> {
  const failed: string[] = [];
  for (const { guarantee, name, run } of storeContract) {
    const clock = new ManualClock();
    const memory = new MemoryStore({ clock });
    const store = { ...verbsOf(memory), ...sabotage(memory, clock) };
    const elapse = (ms: number): Promise<void> => clock.advance(ms);
    await run({ store, other: store, tickMs: 4, elapse }).catch(() => {
      failed.push(`${guarantee}: ${name}`);
    });
  }
  return failed;
}

const found = new Map<Sabotage, Promise<string[]>>();

function failuresOf(sabotage: Sabotage): Promise<string[]> {
  const known = found.get(sabotage) ?? failures(sabotage);
  found.set(sabotage, known);
  return known;
}

describe('the store contract', () => {
  test.each(SABOTAGES)('notices that %s (guarantee %i)', async (_name, breaks, sabotage) => {
    const failed = await failuresOf(sabotage);
    expect(failed).toContainEqual(expect.stringMatching(new RegExp(`^${breaks}: `)));
    // A fault breaks something, not everything: such a fault would prove nothing.
    expect(failed.length).toBeLessThan(storeContract.length / 2);
  });

  test('has no case that no fault breaks', async () => {
    const red = new Set<string>();
    for (const [, , sabotage] of SABOTAGES) {
      for (const name of await failuresOf(sabotage)) red.add(name);
    }
    const names = storeContract.map(({ guarantee, name }) => `${guarantee}: ${name}`);
    expect(names.filter((name) => !red.has(name))).toEqual([]);
  });

  test('finds nothing wrong with a store that was not sabotaged', async () => {
    expect(await failures(() => ({}))).toEqual([]);
  });
});
