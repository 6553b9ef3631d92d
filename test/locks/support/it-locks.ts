import { type LockCase, lockContract, type LockHarness } from 'nestjs-idempotency/testing';

/** Runs the contract of lock services at once, because its cases sleep most of their time. */
export function itLocks(harness: () => LockHarness): void {
  let outcomes: ReadonlyMap<LockCase, Promise<void>> | undefined;
  const start = (): Map<LockCase, Promise<void>> => {
    const all = new Map(lockContract.map((one) => [one, one.run(harness())]));
    for (const outcome of all.values()) outcome.catch(() => undefined);
    return all;
  };

  it.each(lockContract.map((one) => ({ name: `${one.guarantee}: ${one.name}`, one })))(
    '$name',
    ({ one }) => {
      outcomes ??= start();
      return expect(outcomes.get(one)).resolves.toBeUndefined();
    },
    120_000,
  );
}
