import { ChildProgram } from '../support/child-program.js';

interface Outcome {
  readonly types: string[];
}

/** In processes of their own: one that nothing keeps ends by itself. */
describe('a shutdown that nothing but operations keeps', () => {
  let program: ChildProgram;

  beforeAll(async () => {
    program = await ChildProgram.compile('test/survival/programs/shutdown.ts');
  }, 60_000);

  afterAll(() => program?.stop());

  async function shutDown(what: 'runs' | 'waits', timeoutMs: number): Promise<Outcome> {
    const env = { WHAT: what, SHUTDOWN_TIMEOUT: String(timeoutMs) };
    return (await program.start<Outcome>(env)).ready;
  }

  it('waits for one that runs without a client', async () => {
    const { types } = await shutDown('runs', 20_000);
    expect(types).toEqual(['claimed', 'executed', 'stored']);
  });

  it('waits for one whose end the store does not know yet', async () => {
    const { types } = await shutDown('waits', 20_000);
    expect(types.at(-1)).toBe('stored');
  });

  it('waits no longer than `shutdownTimeout`', async () => {
    const { types } = await shutDown('runs', 100);
    expect(types).toEqual(['claimed']);
  });
});
