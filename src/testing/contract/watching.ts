import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ContractCase, casesOf, type StoreHarness } from './contract-case.js';
import { bytes, completed, newId, win } from './support.js';

/** How long to wait for a message, in ticks of real time, whatever the store's clock. */
const PATIENCE_TICKS = 25;
/** A watch may wake once when it begins to listen. How long it has for that, in ticks. */
const BEGINNING_TICKS = 1;

/** Expects `act` to wake a watcher of the record. */
async function assertWakes(
  { other, tickMs }: StoreHarness,
  id: string,
  act: () => Promise<unknown>,
): Promise<void> {
  // Without `watch` duplicates poll, which is allowed.
  if (other.watch === undefined) return;
  let timer: NodeJS.Timeout | undefined;
  let heard = (): void => {};
  const stop = other.watch(id, () => heard());
  try {
    await sleep(BEGINNING_TICKS * tickMs);
    const woken = new Promise<boolean>((resolve) => {
      heard = () => resolve(true);
    });
    const patienceEnds = new Promise<boolean>((resolve) => {
      timer = setTimeout(resolve, PATIENCE_TICKS * tickMs, false);
    });
    await act();
    assert.ok(
      await Promise.race([woken, patienceEnds]),
      `not woken within ${PATIENCE_TICKS} ticks`,
    );
  } finally {
    clearTimeout(timer);
    stop();
  }
}

export const watching: readonly ContractCase[] = casesOf(1, {
  'watch: wakes when the record is completed': async (harness) => {
    const { request } = await win(harness.store);
    await assertWakes(harness, request.id, async () =>
      harness.store.complete({ ...request, reply: bytes('reply') }),
    );
  },

  'watch: wakes when the claim is released': async (harness) => {
    const { request } = await win(harness.store);
    await assertWakes(harness, request.id, async () => harness.store.release(request));
  },

  'watch: wakes when the record is held': async (harness) => {
    const { request } = await win(harness.store);
    await assertWakes(harness, request.id, async () =>
      harness.store.hold({ ...request, reason: 'reason' }),
    );
  },

  'watch: goes on waking after another watch of the record was stopped': async (harness) => {
    const { request } = await win(harness.store);
    const onChange = (): void => {};
    const stops = [
      harness.other.watch?.(request.id, onChange),
      harness.other.watch?.(request.id, onChange),
    ];
    await assertWakes(harness, request.id, async () => {
      stops[0]?.();
      return harness.store.release(request);
    });
    stops[1]?.();
  },

  'watch: may be stopped more than once, and on a record that is not there': async ({
    store,
    other,
  }) => {
    const stop = other.watch?.(newId(), () => {});
    stop?.();
    stop?.();
    // The client still works.
    const { id } = await completed(store);
    assert.equal((await other.find(id))?.state, 'completed');
  },
});
