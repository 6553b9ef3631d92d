import { systemClock } from '../../../src/engine/clock.js';
import { IdempotencyEngine } from '../../../src/engine/engine.js';
import { StoreCalls } from '../../../src/engine/store-calls.js';
import { openStore, placeFrom, type ServerName } from '../support/open-store.js';
import type { Race, Result } from '../support/race.js';
import { newDeferred } from '../../support/deferred.js';

/** One of several processes that claim one record at the same time, each with many callers. */
const { SERVER, PLACE } = process.env;
const { store } = await openStore(SERVER as ServerName, placeFrom(PLACE!));
const calls = new StoreCalls(store, systemClock, 20_000);
const engine = new IdempotencyEngine(
  calls,
  systemClock,
  { hasListeners: false, emit() {} },
  newDeferred(),
);
let owners = 0;

async function ask({ id: given, through, hasOwnKeys }: Race, caller: number): Promise<string> {
  const id = hasOwnKeys ? `${given} ${process.pid} ${caller}` : given;
  const content = { id, fingerprint: 'fingerprint' };
  const times = { leaseMs: 60_000, ttlMs: 60_000 };
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
      onRecordFailure: 'defer',
      strategy: 'unique-key',
      keepsReply: true,
    },
  });
  return beginning.outcome === 'refused' ? beginning.code : beginning.outcome;
}

process.on('message', (race: Race) => {
  const asking = Array.from({ length: race.callers }, (_, caller) => ask(race, caller));
  void Promise.all(asking).then((answers: Result) => process.send?.(answers));
});

process.send?.('ready');
