import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { isTransactional, type StoreTransaction } from '../../../src/engine/transaction.js';
import { type Arrived, type Point, STOP_HEADER } from './crash.js';

type Verbs = Pick<IdempotencyStore, 'acquire' | 'complete'> | StoreTransaction;

interface StoppingCall {
  readonly stopsAt: string;
  id: string;
}

const calls = new AsyncLocalStorage<StoppingCall>();

/** Middleware: has the call stand still where its request says. */
export function stopWhereAsked(
  { headers }: IncomingMessage,
  _response: unknown,
  next: () => void,
): void {
  const stopsAt = headers[STOP_HEADER];
  if (typeof stopsAt !== 'string') return next();
  calls.run({ stopsAt, id: '' }, next);
}

/** Tells the test and waits for it, if this is the point of the present call. */
export async function passing(at: Point): Promise<void> {
  const call = calls.getStore();
  if (call?.stopsAt !== at) return;
  process.send?.({ at, id: call.id } satisfies Arrived);
  await toGoOn();
}

let word: Promise<unknown> | undefined;

/** One and the same for all calls that stand still. */
async function toGoOn(): Promise<void> {
  word ??= once(process, 'message');
  await word;
  word = undefined;
}

/** Has the store, and the transactions that it begins, pass each point of a call. */
export function stopAtPoints(store: IdempotencyStore): IdempotencyStore {
  wrap(store, 'acquire', 'before the claim', 'after the claim');
  wrap(store, 'complete', undefined, 'after complete');
  if (!isTransactional(store)) return store;
  const begin = store.beginTransaction.bind(store);
  store.beginTransaction = async (request) => {
    const transaction = await begin(request);
    wrap(transaction, 'acquire', 'before the claim', 'after the claim');
    wrap(transaction, 'commit', 'before the commit', 'after complete');
    return transaction;
  };
  return store;
}

function wrap<V extends Verbs>(
  target: V,
  verb: keyof V & string,
  before: Point | undefined,
  after: Point,
): void {
  const run = (target[verb] as (...args: unknown[]) => unknown).bind(target);
  const stopping = async (...args: unknown[]): Promise<unknown> => {
    const [request] = args as [{ readonly id: string }?];
    const call = calls.getStore();
    if (call && request) call.id = request.id;
    if (before !== undefined) await passing(before);
    const result = await run(...args);
    await passing(after);
    return result;
  };
  Object.assign(target, { [verb]: stopping });
}
