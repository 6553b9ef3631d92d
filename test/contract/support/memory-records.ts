import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Clock } from '../../../src/engine/clock.js';
import { memoryStoreWith } from '../../support/memory-store.js';

/**
 * Memory read at random is slower than a cache: by 3, and by 9 on a machine that is busy with
 * other things. Work that grows with the records would be slower by as much as there are more.
 */
const MOST_SLOWDOWN = 25;
/** Most of it goes into making the records. */
const PATIENCE_MS = 180_000;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

function heapBytes(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

/** Moved in the middle of a measurement, where nothing may be awaited. */
class HandClock implements Clock {
  private nowMs = 0;

  now(): number {
    return this.nowMs;
  }

  after(): () => void {
    throw new Error('the memory store sets no timers');
  }

  move(ms: number): void {
    this.nowMs += ms;
  }
}

let lastId = 0;
const newId = (): string => (lastId += 1).toString(16).padStart(64, '0');

/** A store under a steady stream: so many records are alive, and with each new one the oldest expires. */
function streamOf(count: number) {
  const under = memoryStoreWith(new HandClock(), { maxRecords: 2 * count, maxBytes: 2 ** 32 });
  const ids: string[] = [];
  const next = (): string => {
    const id = newId();
    under.clock.move(1000 / count);
    under.finish(id);
    return id;
  };
  while (ids.length < count) ids.push(next());
  return { ...under, ids, next };
}

type Stream = ReturnType<typeof streamOf>;

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] as number;
}

const ROUNDS = 101;
const CALLS_PER_ROUND = 200;

/** How often slower the call is on the larger store: medians of many short runs, taken in turn. */
function slowdown(small: Stream, large: Stream, call: (stream: Stream) => void): number {
  const run = (stream: Stream): number => {
    const begin = performance.now();
    for (let count = 0; count < CALLS_PER_ROUND; count += 1) call(stream);
    return performance.now() - begin;
  };
  const samples = Array.from({ length: ROUNDS }, () => [run(small), run(large)] as const);
  return median(samples.map(([, slow]) => slow)) / median(samples.map(([fast]) => fast));
}

/** A store with so many records, beside one with a thousand. */
export function describeMemory(records: number): void {
  /** Of a record and its reply less than half. */
  const most = 100 * records;

  describe(`MemoryStore with ${records} records, beside one with 1000`, () => {
    let heapBefore: number;
    let buffersBefore: number;
    let small: Stream;
    let large: Stream;

    beforeAll(() => {
      heapBefore = heapBytes();
      buffersBefore = process.memoryUsage().arrayBuffers;
      small = streamOf(1000);
      large = streamOf(records);
    }, PATIENCE_MS);

    test('books at least the memory that the records take', () => {
      // The replies are not on the heap.
      const replies = 200 * records;
      expect(large.store.bytes).toBeGreaterThan(heapBytes() - heapBefore + replies);
    });

    test('replays no slower', () => {
      let index = 0;
      const replay = ({ acquire, ids }: Stream): void => {
        index += 7919;
        acquire(ids[index % ids.length] as string);
      };
      expect(slowdown(small, large, replay)).toBeLessThan(MOST_SLOWDOWN);
    });

    test('claims, completes and forgets no slower', () => {
      const firstCall = ({ finish, store }: Stream): void => {
        const id = newId();
        finish(id);
        store.forget(id);
      };
      expect(slowdown(small, large, firstCall)).toBeLessThan(MOST_SLOWDOWN);
      expect([small.store.size, large.store.size]).toEqual([1000, records]);
    });

    test('cleans up while it serves no slower, and holds what is alive, not what ever was', () => {
      expect(slowdown(small, large, ({ next }) => next())).toBeLessThan(MOST_SLOWDOWN);
      for (const [{ store, queued }, alive] of [
        [small, 1000],
        [large, records],
      ] as const) {
        expect(Math.abs(store.size - alive)).toBeLessThan(5);
        expect(queued()).toBe(store.size);
      }
    });

    test(
      'cleans up two of all that expired in a call, and the rest when told to',
      () => {
        const { store, clock, finish, queued } = large;
        clock.move(1_000_000);
        const size = store.size;
        finish(newId());
        expect(store.size).toBe(size - 2 + 1);
        clock.move(1_000_000);
        while (store.purgeExpired(1000) > 0);
        expect([store.size, store.bytes, queued()]).toEqual([0, 0, 0]);
      },
      PATIENCE_MS,
    );

    test('gives the memory back, that of the replies too', async () => {
      large.ids.length = 0;
      let buffers = Infinity;
      // They are freed in the background, after the collection.
      for (let round = 0; round < 100 && buffers > most; round += 1) {
        collectGarbage();
        await new Promise((resolve) => setTimeout(resolve, 50));
        buffers = process.memoryUsage().arrayBuffers - buffersBefore;
      }
      expect(buffers).toBeLessThan(most);
      expect(heapBytes() - heapBefore).toBeLessThan(most);
    });
  });
}
