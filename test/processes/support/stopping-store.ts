import type { IdempotencyStore } from 'nestjs-idempotency';
import { isTransactional, type StoreTransaction } from '../../../src/engine/transaction.js';
import type { Point } from './crash.js';

type Passing = (at: Point) => Promise<void>;
type Verbs = Pick<IdempotencyStore, 'acquire' | 'complete'> | StoreTransaction;

/** Has the store, and the transactions that it begins, call `passing` at each point of a call. */
export function stopAtPoints(store: IdempotencyStore, passing: Passing): IdempotencyStore {
  wrap(store, 'acquire', 'before the claim', 'after the claim', passing);
  wrap(store, 'complete', undefined, 'after complete', passing);
  if (!isTransactional(store)) return store;
  const begin = store.beginTransaction.bind(store);
  store.beginTransaction = async (request) => {
    const transaction = await begin(request);
    wrap(transaction, 'acquire', 'before the claim', 'after the claim', passing);
    wrap(transaction, 'commit', 'before the commit', 'after complete', passing);
    return transaction;
  };
  return store;
}

function wrap<V extends Verbs>(
  target: V,
  verb: keyof V & string,
  before: Point | undefined,
  after: Point,
  passing: Passing,
): void {
  const run = (target[verb] as (...args: unknown[]) => unknown).bind(target);
  const stopping = async (...args: unknown[]): Promise<unknown> => {
    if (before !== undefined) await passing(before);
    const result = await run(...args);
    await passing(after);
    return result;
  };
  Object.assign(target, { [verb]: stopping });
}
