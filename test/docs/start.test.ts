import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { codeBlocks } from './markdown.js';
import { type Call, headersOf, MAIN, parseCall, Program, type Reply, send } from './program.js';
import { SCAFFOLD } from './scaffold.js';

const PAGE = 'docs/start.md';

const PROJECT = { ...SCAFFOLD, 'src/main.ts': MAIN.express };

/** The file of the page that begins with its path and has `needle` in it. */
function fileOfPage(path: string, needle = ''): Record<string, string> {
  const found = codeBlocks(PAGE, 'ts').filter(
    ({ code }) => code.startsWith(`// ${path}\n`) && code.includes(needle),
  );
  if (found.length === 0) throw new Error(`${PAGE} has no ${path} with ${needle}.`);
  return { [path]: found[0]!.code };
}

const payment = parseCall(codeBlocks(PAGE, 'sh').find(({ code }) => code.startsWith('curl'))!.code);
const replayed = 'idempotent-replayed';

describe('the project of the page "Start"', () => {
  let program: Program;

  afterEach(() => program.remove());

  it('replays, refuses and forgets on restart as the page says', async () => {
    program = new Program({
      ...PROJECT,
      ...fileOfPage('src/payments.controller.ts'),
      ...fileOfPage('src/app.module.ts'),
    });
    const url = await program.start();
    const first = await send(url, payment);
    expect(first).toMatchObject({ body: expect.stringContaining('"id":1') });
    expect(first.headers[replayed]).toBeUndefined();
    expect(await send(url, payment)).toMatchObject({
      body: first.body,
      headers: { [replayed]: 'true' },
    });

    const withKey = (key: string) => ({
      'content-type': 'application/json',
      'idempotency-key': key,
    });
    const other = await send(url, { ...payment, headers: withKey('other') });
    expect(other.body).toContain('"id":2');
    const changed = await send(url, { ...payment, data: payment.data.replace('40', '50') });
    expect(JSON.parse(changed.body)).toMatchObject({ status: 422, code: 'IDEMPOTENCY_KEY_REUSED' });
    const keyless = { ...payment, headers: { 'content-type': 'application/json' } };
    expect(JSON.parse((await send(url, keyless)).body)).toMatchObject({
      status: 400,
      code: 'IDEMPOTENCY_KEY_REQUIRED',
    });

    await program.stop();
    const again = await send(await program.start(), payment);
    expect(again.body).toContain('"id":1');
    expect(again.headers[replayed]).toBeUndefined();
  });

  describe('replays over a restart', () => {
    let redis: PrivateServer;

    beforeAll(async () => {
      redis = await startRedis();
    });

    afterAll(() => redis?.stop());

    it.each([
      ['SQL', 'TypeOrmStore', {}],
      ['Redis', 'RedisStore', fileOfPage('src/redis.module.ts')],
    ])('with the records in %s', async (_where, store, files) => {
      program = new Program({
        ...PROJECT,
        ...files,
        ...fileOfPage('src/payments.controller.ts'),
        ...fileOfPage('src/app.module.ts', store),
      });
      const environment = { REDIS_URL: `redis://127.0.0.1:${redis.port}` };
      const first = await send(await program.start(environment), payment);
      expect(first.headers[replayed]).toBeUndefined();
      await program.stop();
      expect(await send(await program.start(environment), payment)).toMatchObject({
        body: first.body,
        headers: { [replayed]: 'true' },
      });
    });
  });
});

const [shown] = codeBlocks('README.md', 'ts');
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
    running = new Program({ 'src/app.module.ts': shown!.code, 'src/main.ts': main });
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
