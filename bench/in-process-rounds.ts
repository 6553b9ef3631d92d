import { NestFactory } from '@nestjs/core';
import {
  header,
  type IdempotentCall,
  IdempotencyModule,
  IdempotencyService,
  MemoryStore,
  requestFingerprint,
} from 'nestjs-idempotency';
import { newKeys } from './load.js';
import { type Summary, summarize } from './statistics.js';

/** One operation without HTTP, over all rounds. */
export interface InProcessRow {
  readonly name: string;
  readonly perSecond: Summary;
  readonly micros: Summary;
}

/** Calls between two looks at the clock. */
const BATCH = 100;
const MAX_BYTES = 2 ** 32;

const CALL: IdempotentCall = {
  type: 'http',
  scope: 'POST /orders',
  principal: undefined,
  request: {
    method: 'POST',
    url: '/orders',
    headers: {
      'content-type': 'application/json',
      'content-length': '87',
      'idempotency-key': '4f0c1f5e-6d5c-4a6e-9f1b-0c8f6a1d2e3b',
    },
    params: {},
    query: {},
    body: {
      customer: 'c-2093',
      sku: 'tea-earl-grey-250g',
      quantity: 3,
      price: '7.90',
      note: 'ring twice',
    },
  },
};
const REPLY = new Uint8Array(160);

type Operation = () => unknown;

/** Measures the parts by themselves, in turn. The first round warms up and does not count. */
export async function inProcessRounds(rounds: number, seconds: number): Promise<InProcessRow[]> {
  const app = await NestFactory.createApplicationContext(
    IdempotencyModule.forRoot({
      store: new MemoryStore({ maxBytes: MAX_BYTES }),
      allowMemoryStore: true,
    }),
    { logger: ['warn', 'error', 'fatal'] },
  );
  const measured = new Map<string, number[]>();
  for (let round = 0; round <= rounds; round++) {
    for (const [name, operation] of Object.entries(operations(app.get(IdempotencyService)))) {
      const perSecond = await rate(operation, seconds);
      const results = measured.get(name) ?? [];
      if (round > 0) results.push(perSecond);
      measured.set(name, results);
    }
  }
  await app.close();
  return [...measured].map(([name, results]) => ({
    name,
    perSecond: summarize(results),
    micros: summarize(results.map((perSecond) => 1e6 / perSecond)),
  }));
}

function operations(service: IdempotencyService): Record<string, Operation> {
  const store = new MemoryStore({ maxBytes: MAX_BYTES });
  const key = header();
  const keys = newKeys();
  const value = { id: 100_001, sku: 'tea-earl-grey-250g', quantity: 3, total: '23.70' };
  const acquire = (id: string, owner: string): unknown =>
    store.acquire({ id, owner, fingerprint: 'f', leaseMs: 30_000, retentionMs: 60_000 });
  const complete = (id: string, owner: string): unknown =>
    store.complete({ id, owner, reply: REPLY, retentionMs: 60_000 });
  acquire('done', 'owner');
  complete('done', 'owner');
  return {
    'key from its header': () => key.read(CALL),
    'fingerprint of the request': () => requestFingerprint(CALL),
    'memory store: acquire and complete': () => {
      const id = keys();
      acquire(id, id);
      complete(id, id);
    },
    'memory store: acquire, refused by a reply': () => acquire('done', 'other'),
    'run(), new key': () => service.run({ scope: 'bench', key: keys(), ttl: '1m' }, () => value),
    'run(), repeated key': () =>
      service.run({ scope: 'bench', key: 'same', ttl: '1m' }, () => value),
  };
}

async function rate(operation: Operation, seconds: number): Promise<number> {
  const startedAt = performance.now();
  let elapsedMs = 0;
  let calls = 0;
  while (elapsedMs < seconds * 1000) {
    for (let i = 0; i < BATCH; i++) {
      const result = operation();
      if (result instanceof Promise) await result;
    }
    calls += BATCH;
    elapsedMs = performance.now() - startedAt;
  }
  return (calls * 1000) / elapsedMs;
}
