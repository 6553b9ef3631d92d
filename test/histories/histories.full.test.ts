import { SEED } from '../support/seed.js';
import { makeHistories } from './histories.js';
import { CUT_REDIS, MEMORY, POSTGRES, REDIS, UNPREPARED_POSTGRES } from './support/stores.js';

const MS = 25_000;

describe(`long random histories with seed ${SEED}`, () => {
  it.each([MEMORY, REDIS, CUT_REDIS, POSTGRES, UNPREPARED_POSTGRES])(
    'can be explained by an order of calls: $name',
    async (kind) => {
      const { violations, calls } = await makeHistories(kind, { ms: MS, acquires: 1_000 });
      expect(violations).toEqual([]);
      expect(calls.extend).toBeGreaterThan(500);
      expect(calls.complete).toBeGreaterThan(50);
      expect(calls.hold).toBeGreaterThan(20);
    },
    MS + 60_000,
  );
});
