import { type DeferredBounds, DeferredCompletions } from '../../src/engine/deferred.js';

export const TOMBSTONE: Uint8Array = Buffer.from('tombstone');

/** What may wait for the store; nothing that a test reaches without meaning to. */
export function newDeferred(bounds: Partial<DeferredBounds> = {}): DeferredCompletions {
  return new DeferredCompletions({
    maxCompletions: 1_000_000,
    maxBytes: 1_000_000_000,
    tombstone: TOMBSTONE,
    ...bounds,
  });
}
