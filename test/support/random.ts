/** Numbers that look random and are the same for the same seed (mulberry32). */
export class Random {
  constructor(private state: number) {}

  /** From 0 to below 1. */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number from `least` to below `end`. */
  between(least: number, end: number): number {
    return least + Math.floor(this.next() * (end - least));
  }

  oneOf<T>(choices: readonly T[]): T {
    return choices[this.between(0, choices.length)] as T;
  }

  /** True so often. */
  isBelow(probability: number): boolean {
    return this.next() < probability;
  }

  /** Another sequence, so that who asks first does not matter. */
  fork(): Random {
    return new Random(this.between(0, 2 ** 31));
  }
}
