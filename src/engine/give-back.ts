import type { OperationRequest } from './operation.js';
import type { Acquired } from './store.js';
import type { StoreCalls } from './store-calls.js';

/** True when an operation whose owner fell silent must not simply run again. A lock is just free. */
export function wantsInquiry({ recover, policy }: OperationRequest): boolean {
  return policy.keepsReply && (recover !== undefined || policy.onAbandoned === 'hold');
}

/**
 * Gives back a claim that nobody will use. Best effort: without it the claim runs out with its
 * lease.
 *
 * @param acquired the store's answer, when it came late; absent when it never came
 */
export async function giveBack(
  calls: StoreCalls,
  request: OperationRequest,
  owner: string,
  acquired: Acquired | undefined,
): Promise<void> {
  const { id, policy } = request;
  const { retentionMs } = policy;
  try {
    // Released, an abandoned operation would run again without anybody asking what was done.
    if (wantsInquiry(request)) {
      const isFresh = acquired ? !acquired.abandoned : await isFirstClaim(calls, id, owner);
      if (!isFresh) return;
    }
    await calls.call('release', (store) => store.release({ id, owner, retentionMs }));
  } catch {
    // The store is still failing.
  }
}

async function isFirstClaim(calls: StoreCalls, id: string, owner: string): Promise<boolean> {
  const record = await calls.call('find', (store) => store.find(id));
  return record?.owner === owner && record.attempt === 1;
}
