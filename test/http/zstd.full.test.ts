import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { plainEnvironment } from '../consumers/consumer.js';
import { run } from '../package/packed.js';
import { openStore, type OpenStore } from '../processes/support/open-store.js';
import { REDIS, type Share } from '../processes/support/servers.js';
import { type Child, ChildProgram } from '../support/child-program.js';
import { CODINGS, contentDigest } from '../support/content-codings.js';
import { essence, expectProblem, type Reply, sendTo } from '../support/http.js';
import { type PackedReady, TEXT } from './zstd.js';

const INSTALL_TIMEOUT_MS = 10 * 60_000;

/** Without `zstd`, which came with 22.15, and with it. */
const VERSIONS = { older: '20', newer: '24' } as const;

/** Installs another version of Node in a folder; its program. */
function installNode(folder: string, version: string): string {
  const platform = process.platform === 'win32' ? 'win' : process.platform;
  const name = `node-${platform}-${process.arch}`;
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'nodes', private: true }));
  const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  run('npm', ['install', ...options, `node-${version}@npm:${name}@${version}`], {
    cwd: folder,
    env: plainEnvironment(),
    timeoutMs: INSTALL_TIMEOUT_MS,
  });
  return join(folder, 'node_modules', `node-${version}`, 'bin', 'node');
}

describe('a reply that Node 24 recorded in zstd', () => {
  const folder = mkdtempSync(join(tmpdir(), 'idempotency-nodes-'));
  let server: Share;
  let books: OpenStore;
  let program: ChildProgram;
  let older: Child<PackedReady>;
  let newer: Child<PackedReady>;
  let first: Reply;

  beforeAll(async () => {
    server = await REDIS.share();
    books = await openStore('Redis', server.url);
    program = await ChildProgram.compile('test/http/programs/packed.ts');
    const start = (node: string): Promise<Child<PackedReady>> =>
      program.start<PackedReady>({ PLACE: server.url }, node);
    newer = await start(installNode(folder, VERSIONS.newer));
    older = await start('zstd' in CODINGS ? installNode(folder, VERSIONS.older) : process.execPath);
    first = await ask(newer, 'zstd');
  }, 2 * INSTALL_TIMEOUT_MS);

  afterAll(async () => {
    await program?.stop();
    await books?.close();
    await server?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const ask = ({ ready }: Child<PackedReady>, accepted: string | undefined): Promise<Reply> =>
    sendTo(ready.port, '/packed', {
      key: 'packed',
      headers: accepted === undefined ? {} : { 'accept-encoding': accepted },
    });

  it('came from the version that has it', () => {
    expect(older.ready.node).toMatch(/^v20\./);
    expect(newer.ready.node).toMatch(/^v24\./);
    expect(first.headers).not.toHaveProperty('idempotent-replayed');
    expect(first.headers['content-digest']).toBe(contentDigest(first.bytes));
  });

  it.each([
    ['newer', 'zstd'],
    ['newer', 'gzip, zstd;q=0.1'],
    ['newer', undefined],
    ['older', 'zstd'],
    ['older', undefined],
  ] as const)('is the same on the %s one for who accepts %s', async (node, accepted) => {
    const replay = await ask({ older, newer }[node], accepted);
    expect(replay.headers['idempotent-replayed']).toBe('true');
    expect(essence(replay)).toEqual(essence(first));
  });

  it.each(['identity', 'gzip', ''])('is unpacked by the newer one for "%s"', async (accepted) => {
    const replay = await ask(newer, accepted);
    expect(replay).toMatchObject({ status: first.status, text: TEXT });
    expect(replay.headers).toMatchObject({ 'idempotent-replayed': 'true', etag: 'W/"v1"' });
    expect(replay.headers).not.toHaveProperty('content-encoding');
    expect(replay.headers).not.toHaveProperty('content-digest');
  });

  it.each(['identity', 'gzip', ''])(
    'is refused by the older one for "%s", for another process to send',
    async (accepted) => {
      const refusal = await ask(older, accepted);
      expectProblem(refusal, 406, 'IDEMPOTENCY_REPLY_NOT_ACCEPTABLE');
      expect(refusal.json()).toMatchObject({
        retryable: true,
        detail: expect.stringContaining('"Accept-Encoding: zstd"'),
      });
      expect(refusal.headers['retry-after']).toBe('1');
    },
  );

  it('came from one run', async () => {
    expect(await books.effects('packed')).toBe(1);
  });
});
