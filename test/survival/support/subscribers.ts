/** How a subscriber of events may fail. */
export const FAILING = [
  'a function that throws',
  'an observer that throws',
  'an async function',
  'a function behind operators',
  'an operator that throws',
  'an async operator',
  'an error handler that throws',
  'a subject that throws',
  'a listener to the calls of the store',
  'a channel',
  'an async listener of a channel',
  'the channel of the calls of the store',
] as const;
export type Failing = (typeof FAILING)[number];

export interface Outcome {
  readonly answers: unknown[];
  /** What another subscriber heard, on `events$` and on the channel of `stored`. */
  readonly heard: string[];
  readonly logged: string[];
}
