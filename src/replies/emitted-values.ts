/** What a handler gave that answers with none or several values, where others give one. */
export class EmittedValues {
  constructor(readonly values: readonly unknown[]) {}

  /** A single value as itself, so that it is kept as what a handler returned. */
  static of(values: readonly unknown[]): unknown {
    return values.length === 1 ? values[0] : new EmittedValues(values);
  }

  static listOf(value: unknown): readonly unknown[] {
    return value instanceof EmittedValues ? value.values : [value];
  }
}
