import { createHash } from 'node:crypto';
import type { Awaitable, IdempotencyStore } from 'nestjs-idempotency/contracts';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../support/random.js';
import type {
  AcquireCall,
  FindCall,
  ForgetCall,
  History,
  OwnersCall,
  StoreCall,
} from './history.js';

const TTL_MS = 600_000;
const CONTENT = 'content';

/** Random owners of one record over these stores, each of which has a client of its own. */
export async function makeHistory(
  stores: readonly IdempotencyStore[],
  random: Random,
  { key, ms }: { readonly key: string; readonly ms: number },
): Promise<History> {
  const record = new RandomRecord(key, random);
  const until = performance.now() + ms;
  await Promise.all(
    stores.map((store, index) => record.ownersOn(store, `${key}.${index}`, random.fork(), until)),
  );
  await record.find(stores[0]!);
  return { leaseMs: record.leaseMs, calls: record.calls };
}

class RandomRecord {
  readonly calls: StoreCall[] = [];
  readonly leaseMs: number;
  private readonly id: string;
  /** The empty one matches everything. */
  private readonly fingerprint: string;

  constructor(key: string, random: Random) {
    this.id = createHash('sha256').update(key).digest('hex');
    this.leaseMs = random.oneOf([40, 80, 150]);
    this.fingerprint = random.oneOf(['', CONTENT]);
  }

  /** One after the other they claim, work, and end well, badly or not at all. */
  async ownersOn(
    store: IdempotencyStore,
    name: string,
    random: Random,
    until: number,
  ): Promise<void> {
    for (let number = 1; performance.now() < until; number += 1) {
      const owner = `${name}.${number}`;
      const answer = await this.acquire(store, owner, this.fingerprint);
      if (random.isBelow(0.1) && this.fingerprint !== '')
        await this.acquire(store, `${owner}.other`, 'other content');
      switch (answer?.outcome) {
        case 'completed':
          if (random.isBelow(0.3)) return;
          await pause(random, 30);
          break;
        case 'held':
          if (random.isBelow(0.2)) await this.settle(store, owner, random);
          await pause(random, 20);
          break;
        case 'acquired':
          await this.work(store, owner, random);
          await this.end(store, owner, random);
          if (random.isBelow(0.02)) await this.forget(store);
          break;
        case 'in-flight':
        case 'mismatch':
        case 'unknown':
        case 'limited':
        case 'unreadable':
        case undefined:
          await pause(random, this.leaseMs * 0.7);
      }
    }
  }

  find(store: IdempotencyStore): Promise<FindCall['answer']> {
    const call: FindCall = { verb: 'find', ...begun() };
    return this.made(call, () => store.find(this.id));
  }

  private async work(store: IdempotencyStore, owner: string, random: Random): Promise<void> {
    const actions = random.between(0, 5);
    for (let action = 0; action < actions; action += 1) {
      await pause(random, this.leaseMs * 0.6);
      if (random.isBelow(0.5)) await this.extend(store, owner);
      else await this.saveStep(store, owner, `step ${random.between(0, 4)}`);
    }
  }

  private async end(store: IdempotencyStore, owner: string, random: Random): Promise<void> {
    const drawn = random.next();
    if (drawn < 0.1) return; // Its process was killed.
    if (drawn < 0.2) {
      await sleep(this.leaseMs * (1 + random.next()));
      await this.complete(store, owner, `late reply of ${owner}`);
    } else if (drawn < 0.35) {
      await sleep(this.leaseMs * (1.1 + random.next()));
      await this.extend(store, owner);
      await this.saveStep(store, owner, 'a late step');
      if (random.isBelow(0.5)) await this.hold(store, owner);
      await this.release(store, owner);
    } else if (drawn < 0.6) await this.release(store, owner);
    else if (drawn < 0.7) await this.hold(store, owner);
    else if (drawn < 0.85) {
      await this.complete(store, owner, `reply of ${owner}`);
      if (random.isBelow(0.3)) await this.complete(store, owner, `another reply of ${owner}`);
    }
  }

  private async settle(store: IdempotencyStore, operator: string, random: Random): Promise<void> {
    const view = await this.find(store);
    if (view?.state !== 'held') return;
    if (random.isBelow(0.5)) await this.release(store, view.owner, 'held');
    else await this.complete(store, view.owner, `settled by ${operator}`, 'held');
  }

  private acquire(
    store: IdempotencyStore,
    owner: string,
    fingerprint: string,
  ): Promise<AcquireCall['answer']> {
    const { id, leaseMs } = this;
    const call: AcquireCall = { verb: 'acquire', owner, fingerprint, ...begun() };
    return this.made(call, () => store.acquire({ id, owner, fingerprint, leaseMs, ttlMs: TTL_MS }));
  }

  private async extend(store: IdempotencyStore, owner: string): Promise<void> {
    const { id, leaseMs } = this;
    await this.made(ownersCall('extend', owner), () =>
      store.extend({ id, owner, leaseMs, ttlMs: TTL_MS }),
    );
  }

  private async saveStep(store: IdempotencyStore, owner: string, name: string): Promise<void> {
    const { id } = this;
    const value = Buffer.from(owner);
    await this.made(ownersCall('saveStep', owner, name), () =>
      store.saveStep({ id, owner, name, value }),
    );
  }

  private async complete(
    store: IdempotencyStore,
    owner: string,
    text: string,
    from?: 'held',
  ): Promise<void> {
    const { id } = this;
    const reply = Buffer.from(text);
    await this.made(ownersCall('complete', owner, text, from), () =>
      store.complete({ id, owner, reply, ttlMs: TTL_MS, ...(from && { from }) }),
    );
  }

  private async release(store: IdempotencyStore, owner: string, from?: 'held'): Promise<void> {
    const { id } = this;
    await this.made(ownersCall('release', owner, '', from), () =>
      store.release({ id, owner, ttlMs: TTL_MS, ...(from && { from }) }),
    );
  }

  private async hold(store: IdempotencyStore, owner: string): Promise<void> {
    const { id } = this;
    await this.made(ownersCall('hold', owner), () => store.hold({ id, owner, reason: 'unknown' }));
  }

  private async forget(store: IdempotencyStore): Promise<void> {
    const call: ForgetCall = { verb: 'forget', ...begun() };
    await this.made(call, () => store.forget(this.id));
  }

  private async made<Made extends StoreCall>(
    call: Made,
    ask: () => Awaitable<Made['answer']>,
  ): Promise<Made['answer']> {
    this.calls.push(call);
    try {
      call.answer = (await ask()) as Made['answer'];
    } catch {
      call.hasFailed = true;
    }
    call.endedAt = performance.now();
    return call.answer;
  }
}

function begun() {
  return { startedAt: performance.now(), endedAt: Infinity, hasFailed: false };
}

function ownersCall(verb: OwnersCall['verb'], owner: string, text = '', from?: 'held'): OwnersCall {
  return { verb, owner, text, isSettlement: from === 'held', ...begun() };
}

async function pause(random: Random, longestMs: number): Promise<void> {
  await sleep(random.next() * longestMs);
}
