import { MemoryStore } from '../../src/stores/memory/index.js';
import { GUARANTEES, ManualClock, storeContract } from '../../src/testing/index.js';

describe('MemoryStore keeps the contract', () => {
  for (const { guarantee, name, run } of storeContract) {
    // oxlint-disable-next-line jest/expect-expect -- the cases assert
    test(`${guarantee}: ${name}`, async () => {
      const clock = new ManualClock();
      const store = new MemoryStore({ clock });
      await run({ store, other: store, tickMs: 200, elapse: (ms) => clock.advance(ms) });
    });
  }

  test('with cases for every guarantee, each with a name of its own', () => {
    const numbers = new Set(storeContract.map(({ guarantee }) => String(guarantee)));
    expect([...numbers].sort()).toEqual(Object.keys(GUARANTEES).sort());
    expect(new Set(storeContract.map(({ name }) => name)).size).toBe(storeContract.length);
  });
});
