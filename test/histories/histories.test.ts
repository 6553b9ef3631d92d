import { SEED } from '../support/seed.js';
import { makeHistories } from './histories.js';
import { MEMORY, POSTGRES, REDIS } from './support/stores.js';

const MS = 1_000;

describe(`random histories with seed ${SEED}`, () => {
  it.each([MEMORY, REDIS, POSTGRES])(
    'can be explained by an order of calls: $name',
    async (kind) => {
      const { violations, calls } = await makeHistories(kind, { ms: MS, acquires: 100 });
      expect(violations).toEqual([]);
      expect(calls.failed).toBe(0);
    },
    60_000,
  );
});
