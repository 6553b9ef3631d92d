import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { setImmediate } from 'node:timers/promises';
import { claimOf, completedOn } from '../support/claims.js';

/** A store, and ids of finished records in it. */
export interface Filled {
  readonly store: IdempotencyStore;
  readonly ids: readonly string[];
}

export const SMALL = 1_000;

/** As many finished records as a small store has, each made by the store. */
export async function fillSmall(store: IdempotencyStore): Promise<Filled> {
  const ids: string[] = [];
  while (ids.length < SMALL) {
    const made = await Promise.all(Array.from({ length: 50 }, () => completedOn(store)));
    ids.push(...made.map(({ id }) => id));
  }
  return { store, ids };
}

/** Claims and completes, and leaves as many records as there were. */
export async function firstCall({ store }: Filled): Promise<void> {
  const { id } = await completedOn(store);
  await store.forget(id);
}

let turn = 0;

/** Asks for one finished record after the other. */
export async function replay({ store, ids }: Filled): Promise<void> {
  turn += 1;
  const { outcome } = await store.acquire(claimOf({ id: ids[turn % ids.length] }));
  if (outcome !== 'completed') throw new Error(`expected a reply, got ${outcome}`);
}

/** First calls and replays, over and over, until told to stop; how long each took. */
export function traffic(filled: Filled, callers: number): { stop(): Promise<number[]> } {
  const took: number[] = [];
  let isOver = false;
  const caller = async (): Promise<void> => {
    while (!isOver) {
      for (const call of [firstCall, replay]) {
        const begin = performance.now();
        // A database in the process answers at once: others would never have their turn.
        await setImmediate();
        await call(filled);
        took.push(performance.now() - begin);
      }
    }
  };
  const all = Promise.all(Array.from({ length: callers }, caller));
  return {
    stop: async () => {
      isOver = true;
      await all;
      return took;
    },
  };
}
