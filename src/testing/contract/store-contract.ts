import { oneWinner } from './1-one-winner.js';
import { compareAndSet } from './2-compare-and-set.js';
import { settledStays } from './3-settled-stays.js';
import { refusedDuplicates } from './4-refused-duplicates.js';
import { twoClocks } from './5-two-clocks.js';
import { outlivesTheLease } from './6-outlives-the-lease.js';
import { opaqueReplies } from './7-opaque-replies.js';
import { exactKeys } from './8-exact-keys.js';
import { limits } from './9-limits.js';
import { stories } from './10-stories.js';
import type { ContractCase } from './contract-case.js';
import { watching } from './watching.js';

/**
 * What every store must do, as cases for any test runner. Run them one after the other,
 * against a real server, with two clients.
 *
 * @example
 * for (const { guarantee, name, run } of storeContract) {
 *   test(`${guarantee}: ${name}`, () => run({ store, other, tickMs: 200, elapse: sleep }));
 * }
 */
export const storeContract: readonly ContractCase[] = [
  ...oneWinner,
  ...watching,
  ...compareAndSet,
  ...settledStays,
  ...refusedDuplicates,
  ...twoClocks,
  ...outlivesTheLease,
  ...opaqueReplies,
  ...exactKeys,
  ...limits,
  ...stories,
];
