/** Lets the queue find an entry again without searching. */
export interface Queued {
  /** The position in the queue; -1 if the entry is not in it. Only the queue writes it. */
  queueIndex: number;
}

/**
 * Four children per node: half the levels of a binary heap, with siblings side by side in memory.
 */
const ARITY = 4;

/**
 * Entries by deadline, earliest first: a heap in which every entry knows its position. If a
 * deadline changes, the entry is moved. So each entry has exactly one position, however often a
 * record is renewed, and there are no stale ones to skip.
 */
export class ExpiryQueue<T extends Queued> {
  /** Kept apart from the entries, so that comparisons do not touch them. */
  private readonly deadlines: number[] = [];
  private readonly entries: T[] = [];

  get size(): number {
    return this.entries.length;
  }

  /** The entry with the earliest deadline, unless that is after `now`. */
  due(now: number): T | undefined {
    return this.entries.length > 0 && this.deadlineAt(0) <= now ? this.entries[0] : undefined;
  }

  add(entry: T, deadline: number): void {
    this.entries.push(entry);
    this.deadlines.push(deadline);
    this.rise(entry, deadline, this.entries.length - 1);
  }

  /** Changes the deadline of an entry. */
  move(entry: T, deadline: number): void {
    const index = entry.queueIndex;
    if (deadline < this.deadlineAt(index)) this.rise(entry, deadline, index);
    else this.sink(entry, deadline, index);
  }

  /** Removes an entry. */
  remove(entry: T): void {
    const index = entry.queueIndex;
    const last = this.entries.pop() as T;
    const lastDeadline = this.deadlines.pop() as number;
    entry.queueIndex = -1;
    if (last === entry) return;
    this.sink(last, lastDeadline, index);
    if (last.queueIndex === index) this.rise(last, lastDeadline, index);
  }

  private rise(entry: T, deadline: number, from: number): void {
    let index = from;
    while (index > 0) {
      const parent = ((index - 1) / ARITY) | 0;
      const parentDeadline = this.deadlineAt(parent);
      if (parentDeadline <= deadline) break;
      this.place(this.entries[parent] as T, parentDeadline, index);
      index = parent;
    }
    this.place(entry, deadline, index);
  }

  private sink(entry: T, deadline: number, from: number): void {
    const size = this.entries.length;
    let index = from;
    for (;;) {
      const first = index * ARITY + 1;
      if (first >= size) break;
      const end = Math.min(first + ARITY, size);
      let child = first;
      let childDeadline = this.deadlineAt(first);
      for (let other = first + 1; other < end; other += 1) {
        const otherDeadline = this.deadlineAt(other);
        if (otherDeadline < childDeadline) {
          child = other;
          childDeadline = otherDeadline;
        }
      }
      if (childDeadline >= deadline) break;
      this.place(this.entries[child] as T, childDeadline, index);
      index = child;
    }
    this.place(entry, deadline, index);
  }

  private place(entry: T, deadline: number, index: number): void {
    this.entries[index] = entry;
    this.deadlines[index] = deadline;
    entry.queueIndex = index;
  }

  private deadlineAt(index: number): number {
    return this.deadlines[index] as number;
  }
}
