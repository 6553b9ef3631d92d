import { ChildProgram } from '../support/child-program.js';
import { FAILING, type Failing, type Outcome } from './support/subscribers.js';

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
