/** A value with the names of its objects' types, where whoever replays it has to know them. */
export class TypedValue {
  constructor(
    readonly value: unknown,
    /** The keys are objects in the value itself: they are kept, and come back, as the same ones. */
    readonly types: ReadonlyMap<object, string>,
  ) {}
}
