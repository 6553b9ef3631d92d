import type { Expectation, Resource, ResourceValue } from 'nestjs-idempotency/contracts';

/** A column of one row, in memory. */
export class Column implements Resource {
  readonly name = 'Goods.column';

  constructor(private value: ResourceValue) {}

  readForUpdate([id]: readonly string[]): ResourceValue | undefined {
    return id === '1' ? this.value : undefined;
  }

  compareAndSet(
    [id]: readonly string[],
    expected: Expectation | undefined,
    value: ResourceValue,
  ): boolean {
    if (id !== '1' || !this.isAsExpected(expected)) return false;
    this.value = value;
    return true;
  }

  transaction<T>(work: () => Promise<T>): Promise<T> {
    return work();
  }

  private isAsExpected(expected: Expectation | undefined): boolean {
    if (expected === undefined) return true;
    return 'oneOf' in expected ? expected.oneOf.includes(this.value) : this.value < expected.below;
  }
}
