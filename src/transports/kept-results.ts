/** How values go on record, and come back, where more of them is kept than they hold. */
export interface KeptValues {
  keep(value: unknown): unknown;
  restore(kept: unknown): unknown;
}

/** How errors go on record, and come back, where callers get them in a form of their own. */
export interface KeptErrors {
  /** `undefined` for an error that is kept as everywhere. */
  keep(error: unknown): unknown;
  /** `undefined` for what is not of this form. */
  restore(kept: unknown): Error | undefined;
}
