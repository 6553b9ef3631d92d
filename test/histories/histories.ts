import { Random } from '../support/random.js';
import { SEED } from '../support/seed.js';
import type { StoreCall } from './history.js';
import { violationsOf } from './rules.js';
import type { StoreKind } from './support/stores.js';
import { makeHistory } from './workload.js';

/** Processes, each with a store of its own. */
const STORES = 5;
const RECORDS_AT_A_TIME = 8;
const RECORD_MS = 1_200;

export interface Histories {
  readonly records: number;
  /** How often each verb was asked, and how often one failed. */
  readonly calls: Readonly<Record<StoreCall['verb'] | 'failed', number>>;
  readonly violations: readonly string[];
}

/** Random histories of many records over stores of this kind, for so long and at least with so many claims. */
export async function makeHistories(
  kind: StoreKind,
  { ms, acquires }: { readonly ms: number; readonly acquires: number },
): Promise<Histories> {
  const random = new Random(SEED);
  const open = await kind.open(STORES, random.fork());
  const calls = { acquire: 0, extend: 0, complete: 0, release: 0, hold: 0, saveStep: 0 };
  const counts = { ...calls, find: 0, forget: 0, failed: 0 };
  const violations: string[] = [];
  let records = 0;
  const endsAt = performance.now() + ms;
  try {
    do {
      const made = await Promise.all(
        Array.from({ length: RECORDS_AT_A_TIME }, () => {
          records += 1;
          const given = { key: `seed ${SEED}, record ${records}`, ms: RECORD_MS };
          return makeHistory(open.stores, random.fork(), given);
        }),
      );
      for (const history of made) {
        violations.push(...violationsOf(history));
        for (const { verb, hasFailed } of history.calls) {
          counts[verb] += 1;
          if (hasFailed) counts.failed += 1;
        }
      }
    } while (performance.now() < endsAt || counts.acquire < acquires);
  } finally {
    await open.close();
  }
  return { records, calls: counts, violations };
}
