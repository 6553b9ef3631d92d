import { Random } from '../support/random.js';
import { SEED } from '../support/seed.js';
import { violationsOf } from './rules.js';
import { FAULTS, faultyStore } from './support/faulty-stores.js';
import { makeHistory } from './workload.js';

const RECORDS = 40;
const OWNERS = 5;
/** On a busy machine little happens in one. */
const ROUNDS = 20;

describe(`random histories with seed ${SEED} show`, () => {
  it.each(FAULTS)('%s', async (_name, said, fault) => {
    const random = new Random(SEED);
    const store = faultyStore(fault, random.fork());
    const stores = Array.from({ length: OWNERS }, () => store);
    const isSaid = (violation: string): boolean => said.test(violation);
    let violations: string[] = [];
    for (let round = 0; round < ROUNDS && !violations.some(isSaid); round++) {
      const histories = await Promise.all(
        Array.from({ length: RECORDS }, (_, index) =>
          makeHistory(stores, random.fork(), { key: `record ${round}.${index}`, ms: 500 }),
        ),
      );
      violations = histories.flatMap(violationsOf);
    }
    expect(violations).toEqual(expect.arrayContaining([expect.stringMatching(said)]));
  });
});
