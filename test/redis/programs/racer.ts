import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { systemClock } from '../../../src/engine/clock.js';
import { IdempotencyEngine } from '../../../src/engine/engine.js';
import { StoreCalls } from '../../../src/engine/store-calls.js';
import type { Race, Result } from '../support/race.js';

/** One of several processes that claim one record at the same time, each with many callers. */
const client = new Redis(Number(process.env.REDIS_PORT));
const store = new RedisStore({ client });
const calls = new StoreCalls(store, systemClock, 20_000);
const engine = new IdempotencyEngine(calls, systemClock, { hasListeners: false, emit() {} });
let owners = 0;

async function ask({ id, through }: Race): Promise<string> {
  const content = { id, fingerprint: 'content' };
  const times = { leaseMs: 60_000, retentionMs: 60_000 };
  if (through === 'store') {
    const owner = `${process.pid}-${owners++}`;
    return (await store.acquire({ ...content, ...times, owner })).outcome;
  }
  const beginning = await engine.begin({
    ...content,
    scope: 'race',
    policy: {
      ...times,
      waitMs: 0,
      retryAfterMs: 1_000,
      onDuplicate: 'replay',
      onAbandoned: 'rerun',
      onStoreFailure: 'reject',
      refuseUnknown: undefined,
    },
  });
  return beginning.outcome === 'refused' ? beginning.code : beginning.outcome;
}

process.on('message', (race: Race) => {
  void Promise.all(Array.from({ length: race.callers }, () => ask(race))).then((answers: Result) =>
    process.send?.(answers),
  );
});

await client.ping();
process.send?.('ready');
