import { header, type IdempotentCall, MemoryStore } from 'nestjs-idempotency';
import { requestFingerprint } from 'nestjs-idempotency/contracts';
import type { Operation } from './in-process-rounds.js';
import { newKeys } from './load.js';

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
const TTL_MS = 1_000;

/** What a call is made of, part by part. */
export function partsInMemory(): Record<string, Operation> {
  const store = new MemoryStore();
  const key = header();
  const keys = newKeys();
  const acquire = (id: string, owner: string): unknown =>
    store.acquire({ id, owner, fingerprint: 'f', leaseMs: 30_000, ttlMs: TTL_MS });
  const complete = (id: string, owner: string, ttlMs = TTL_MS): unknown =>
    store.complete({ id, owner, reply: REPLY, ttlMs });
  acquire('done', 'owner');
  complete('done', 'owner', 3_600_000);
  return {
    'key from its header': () => key.read(CALL),
    'fingerprint of the request': () => requestFingerprint(CALL),
    'memory store: acquire and complete': () => {
      const id = keys();
      acquire(id, id);
      complete(id, id);
    },
    'memory store: acquire, refused by a reply': () => acquire('done', 'other'),
  };
}
