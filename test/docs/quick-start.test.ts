import { codeBlocks } from './markdown.js';
import { type Call, headersOf, MAIN, parseCall, Program, type Reply, send } from './program.js';

const [program] = codeBlocks('README.md', 'ts');
const calls = codeBlocks('README.md', 'console').map(({ code }) => shownCall(code));

/** A `curl` call with what it prints, as the README shows it. */
function shownCall(text: string): { call: Call; reply: Reply } {
  const [command = '', status = '', ...rest] = text.split('\n');
  const end = rest.indexOf('');
  return {
    call: parseCall(command),
    reply: { status, headers: headersOf(rest.slice(0, end)), body: rest.slice(end + 1).join('\n') },
  };
}

describe.each(Object.entries(MAIN))('the program of the README on %s', (_framework, main) => {
  let running: Program;
  let url: string;

  beforeAll(async () => {
    running = new Program({ 'src/app.module.ts': program!.code, 'src/main.ts': main });
    url = await running.start();
  });

  afterAll(() => running.remove());

  it('answers the calls of the README as shown there', async () => {
    expect(calls).toHaveLength(2);
    for (const { call, reply } of calls) expect(await send(url, call)).toEqual(reply);
  });
});

it('the second call of the README repeats the first and is shown as a replay', () => {
  const [first, second] = calls;
  expect(second!.call).toEqual(first!.call);
  expect(first!.reply.headers['idempotent-replayed']).toBeUndefined();
  expect(second!.reply.headers['idempotent-replayed']).toBe('true');
  expect(second!.reply.body).toBe(first!.reply.body);
});
