import { type ContractCase, storeContract, type StoreHarness } from 'nestjs-idempotency/testing';
import { runSteadily } from './steady.js';

/** They purge, which takes away what other cases want to see expired: theirs is the second half. */
const PURGES = /(?<!not )purge(?!d or not)|looked at/;

/** What differs between the clients of one driver: how arguments and answers travel, and waking. */
export const TRAVELLING = storeContract.filter(
  ({ guarantee, name }) =>
    guarantee >= 7 ||
    /^(watch: wakes when|\w+: is carried out for|purges at most|tells a duplicate how long)/.test(
      name,
    ) ||
    /^(gives a free key to one of 64|shows an issued record|gives the next attempt the steps)/.test(
      name,
    ) ||
    /^(tells every claim that the record is held|answers other content with a mismatch after the c)/.test(
      name,
    ),
);

/**
 * Runs cases of the contract at the same time, because they sleep most of theirs and have ids of
 * their own; a test for each tells how it went.
 *
 * @param atOnce how many at the same time: as many as the store answers well within a tick
 */
export function itKeeps(
  cases: readonly ContractCase[],
  harness: () => StoreHarness,
  atOnce = 24,
): void {
  let outcomes: ReadonlyMap<ContractCase, Promise<void>> | undefined;

  it.each(cases.map((one) => ({ name: `${one.guarantee}: ${one.name}`, one })))(
    '$name',
    ({ one }) => {
      // Not before the first test: others of the same store have ended by then.
      outcomes ??= startAll(cases, harness(), atOnce);
      return expect(outcomes.get(one)).resolves.toBeUndefined();
    },
    300_000,
  );
}

function startAll(
  cases: readonly ContractCase[],
  harness: StoreHarness,
  atOnce: number,
): Map<ContractCase, Promise<void>> {
  const outcomes = new Map<ContractCase, Promise<void>>();
  const inLanes = (
    some: readonly ContractCase[],
    count: number,
    before: Promise<unknown>,
  ): Promise<unknown> => {
    const lanes = Array.from({ length: count }, () => before);
    for (const [index, one] of some.entries()) {
      const outcome = lanes[index % count]!.then(() => runSteadily(one, harness));
      outcomes.set(one, outcome);
      lanes[index % count] = outcome.catch(() => undefined);
    }
    return Promise.all(lanes);
  };
  const others = inLanes(
    cases.filter(({ name }) => !PURGES.test(name)),
    atOnce,
    Promise.resolve(),
  );
  // One after the other: a purge takes what another case has left for its own.
  void inLanes(
    cases.filter(({ name }) => PURGES.test(name)),
    1,
    others,
  );
  return outcomes;
}
