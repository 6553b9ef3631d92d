import fc from '../support/properties.js';
import { ExpiryQueue, type Queued } from '../../src/stores/memory/expiry-queue.js';

interface Entry extends Queued {
  deadline: number;
}

const newEntry = (deadline: number): Entry => ({ deadline, queueIndex: -1 });

function dueAll(queue: ExpiryQueue<Entry>, now: number): number[] {
  const deadlines: number[] = [];
  for (let entry = queue.due(now); entry !== undefined; entry = queue.due(now)) {
    queue.remove(entry);
    deadlines.push(entry.deadline);
  }
  return deadlines;
}

describe('ExpiryQueue', () => {
  test('has nothing due when it is empty, or before the first deadline', () => {
    const queue = new ExpiryQueue<Entry>();
    expect(queue.due(Infinity)).toBeUndefined();
    queue.add(newEntry(10), 10);
    expect(queue.due(9)).toBeUndefined();
    expect(queue.due(10)?.deadline).toBe(10);
  });

  test('yields what is due, earliest first, whatever was added, moved and removed', () => {
    const deadline = fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity));
    const step = fc.record({
      verb: fc.constantFrom('add', 'add', 'add', 'move', 'remove'),
      deadline,
      pick: fc.nat(),
    });
    fc.assert(
      fc.property(fc.array(step, { size: 'large', maxLength: 200 }), (steps) => {
        const queue = new ExpiryQueue<Entry>();
        const model: Entry[] = [];
        const removed: Entry[] = [];
        for (const { verb, deadline, pick } of steps) {
          const entry = model[pick % model.length];
          if (verb === 'add') {
            const added = newEntry(deadline);
            model.push(added);
            queue.add(added, deadline);
          } else if (entry !== undefined && verb === 'move') {
            entry.deadline = deadline;
            queue.move(entry, deadline);
          } else if (entry !== undefined) {
            model.splice(model.indexOf(entry), 1);
            queue.remove(entry);
            removed.push(entry);
          }
          expect(queue.size).toBe(model.length);
        }
        expect(removed.every((entry) => entry.queueIndex === -1)).toBe(true);
        const expected = model.map((entry) => entry.deadline).sort((a, b) => a - b);
        expect(dueAll(queue, 10)).toEqual(expected.filter((at) => at <= 10));
        expect(dueAll(queue, Infinity)).toEqual(expected.filter((at) => at > 10));
      }),
    );
  });

  test('keeps one place for an entry that is moved again and again', () => {
    const queue = new ExpiryQueue<Entry>();
    const entry = newEntry(0);
    queue.add(entry, 0);
    for (let deadline = 1; deadline <= 1000; deadline += 1) queue.move(entry, deadline);
    expect(queue.size).toBe(1);
    expect(queue.due(999)).toBeUndefined();
    expect(queue.due(1000)).toBe(entry);
  });
});
