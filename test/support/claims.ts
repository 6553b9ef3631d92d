import { randomBytes, randomUUID } from 'node:crypto';
import type { AcquireRequest, IdempotencyStore } from 'nestjs-idempotency/contracts';

/** A claim by a new owner on a new record that nothing ends, as far as it is not said otherwise. */
export function claimOf(given: Partial<AcquireRequest> = {}): AcquireRequest {
  return {
    id: randomBytes(32).toString('hex'),
    owner: randomUUID(),
    fingerprint: 'fingerprint',
    leaseMs: 600_000,
    ttlMs: 600_000,
    ...given,
  };
}

/** A record that was completed with the reply "reply". */
export async function completedOn(
  store: IdempotencyStore,
  given: Partial<AcquireRequest> = {},
): Promise<AcquireRequest> {
  const claim = claimOf(given);
  await store.acquire(claim);
  await store.complete({ ...claim, reply: Buffer.from('reply') });
  return claim;
}
