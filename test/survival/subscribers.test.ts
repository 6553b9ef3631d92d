import { ChildProgram } from '../support/child-program.js';

/** How a subscriber of events may fail. */
const FAILING = [
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

/** In a process of its own, because what nobody catches ends the process. */
describe('a subscriber of events that fails', () => {
  let program: ChildProgram;
  let outcomes: Record<Failing, Outcome>;

  beforeAll(async () => {
    program = await ChildProgram.compile('test/survival/programs/subscribers.ts');
    ({ ready: outcomes } = await program.start<Record<Failing, Outcome>>({}));
  }, 60_000);

  afterAll(() => program?.stop());

  it.each(FAILING)('ends nothing, changes nothing, and is logged once: %s', (failing) => {
    const { answers, heard, logged } = outcomes[failing];
    expect(answers).toEqual(['paid a', 'paid b', 'paid a']);
    const run = ['claimed', 'executed', 'stored', 'stored'];
    expect(heard).toEqual([...run, ...run, 'replayed']);
    expect(logged).toEqual([expect.stringMatching(/subscriber[^]*from the subscriber/)]);
  });
});
