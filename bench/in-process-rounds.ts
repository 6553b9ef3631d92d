import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { partsInMemory } from './in-process-parts.js';
import { newKeys } from './load.js';
import type { Minimum } from './records/minimum.js';
import { openRecords, type Records, TTL_MS } from './records/records.js';
import { type Summary, summarize } from './statistics.js';
import { MANY_KEYS, type Store } from './subjects.js';

/** One operation without HTTP, over all rounds. */
export interface InProcessRow {
  readonly store: Store;
  readonly name: string;
  readonly perSecond: Summary;
  /** Processor time of this process per operation. */
  readonly cpuMicros: Summary;
}

/** How many operations of a store with a server are under way at a time. */
const CONCURRENCY = 50;
/** Operations between two looks at the clock. */
const BATCH = 100;
const VALUE = { id: 100_001, sku: 'tea-earl-grey-250g', quantity: 3, total: '23.70' };

export type Operation = () => unknown;
type Rate = Readonly<Record<'perSecond' | 'cpuMicros', number>>;

/** Measures operations by themselves, in turn. The first round warms up and does not count. */
export async function inProcessRounds(
  store: Store,
  rounds: number,
  seconds: number,
  storeUrl = '',
): Promise<InProcessRow[]> {
  const records = await openRecords(store, storeUrl);
  const app = await NestFactory.createApplicationContext(
    IdempotencyModule.forRoot({ store: records.store, allowMemoryStore: true }),
    { logger: ['warn', 'error', 'fatal'] },
  );
  const measured = new Map<string, Rate[]>();
  for (let round = 0; round <= rounds; round++) {
    const operations = {
      ...(store === 'memory' && partsInMemory()),
      ...operationsOn(records, app.get(IdempotencyService)),
    };
    for (const [name, operation] of Object.entries(operations)) {
      // The first calls of what is repeated are no part of it.
      for (let i = 0; i < MANY_KEYS; i++) await operation();
      const rate = await rateOf(operation, seconds);
      if (round > 0) measured.set(name, [...(measured.get(name) ?? []), rate]);
    }
  }
  await app.close();
  await records.close();
  return [...measured].map(([name, rates]) => ({
    store,
    name,
    perSecond: summarize(rates.map(({ perSecond }) => perSecond)),
    cpuMicros: summarize(rates.map(({ cpuMicros }) => cpuMicros)),
  }));
}

function operationsOn(
  { minimum }: Records,
  service: IdempotencyService,
): Record<string, Operation> {
  const keys = newKeys();
  const kept = Array.from({ length: MANY_KEYS }, keys);
  let sent = 0;
  const repeated = (): string => kept[sent++ % MANY_KEYS]!;
  const run = (key: string): Promise<unknown> =>
    service.run({ scope: 'bench', key, ttl: TTL_MS }, () => VALUE);
  return {
    'hand-written, new key': () => runByHand(minimum, keys()),
    'run(), new key': () => run(keys()),
    'hand-written, repeated keys': () => runByHand(minimum, repeated()),
    'run(), repeated keys': () => run(repeated()),
    'run(), one repeated key': () => run(kept[0]!),
  };
}

async function runByHand(minimum: Minimum, key: string): Promise<unknown> {
  if (!(await minimum.claim(key))) return minimum.find(key);
  await minimum.keep(key, VALUE);
  return VALUE;
}

async function rateOf(operation: Operation, seconds: number): Promise<Rate> {
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1000;
  const before = process.cpuUsage();
  let calls = 0;
  const repeat = async (): Promise<void> => {
    while (performance.now() < endsAt) {
      for (let i = 0; i < BATCH; i++) {
        const result = operation();
        if (result instanceof Promise) await result;
      }
      calls += BATCH;
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, repeat));
  const { user, system } = process.cpuUsage(before);
  return {
    perSecond: (calls * 1000) / (performance.now() - startedAt),
    cpuMicros: (user + system) / calls,
  };
}
