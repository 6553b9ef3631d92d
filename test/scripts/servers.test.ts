import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const SCRIPT = join(import.meta.dirname, '../../scripts/servers.mjs');

const PROGRAMS = [
  'redis-server',
  'mariadbd',
  'postgres',
  'rabbitmq-server',
  'nats-server',
  'mosquitto',
  'etcd',
  'zkServer.sh',
  'kcat',
  'chromium',
];

/** What is asked of Docker. */
const VERSION = 'compose version';
const RUN = 'compose run --rm test node scripts/test.mjs test/redis -t a b';

/** Runs a line of code beside the exports of the script, and answers what it prints. */
function evaluate(code: string): unknown {
  const program = `
    import { missingServers, notice, remedy, searchedFolders, withoutUrl } from ${JSON.stringify(pathToFileURL(SCRIPT))};
    console.log(JSON.stringify(${code}));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', program]);
  return JSON.parse(output.toString());
}

describe('the servers of the tests', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'idempotency-path-'));
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const missingFrom = (path: string) =>
    evaluate(`missingServers([${JSON.stringify(path)}]).map(({ program }) => program)`);

  it('are missing where no program is', () => {
    expect(missingFrom(folder)).toEqual(PROGRAMS);
  });

  it('are not missing where there are programs; a file that cannot be run is none', () => {
    for (const program of PROGRAMS) {
      writeFileSync(join(folder, program), '');
      if (program !== 'mariadbd') chmodSync(join(folder, program), 0o755);
    }
    expect(missingFrom(folder)).toEqual(['mariadbd']);
  });

  it('are looked for on the whole PATH, in its order', () => {
    expect(evaluate(`searchedFolders('/first:/second')`)).toEqual(
      expect.arrayContaining(['/first', '/second', '/usr/sbin']),
    );
  });

  it('are named, with their packages and a way without installing, when nothing helps', () => {
    const told = evaluate(`remedy(missingServers(['/nowhere']))`);
    expect(told).toContain(`${PROGRAMS.join(', ')}.\n`);
    expect(told).toMatch(
      /apt-get install redis-server mariadb-server postgresql rabbitmq-server nats-server mosquitto etcd-server zookeeper kcat chromium\)/,
    );
    expect(told).toMatch(/docker compose run --rm test$/);
  });

  it('stop `npm test` before anything is built when they cannot be had', () => {
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', hidingEveryProgram(), join(SCRIPT, '../test.mjs')],
      { env: { PATH: folder }, encoding: 'utf8' },
    );
    expect({ status, stderr }).toEqual({
      status: 1,
      stderr: expect.stringContaining(`not found: ${PROGRAMS.join(', ')}`),
    });
  });

  it('are not asked for where a URL gives one of the kind, except what has no URL', () => {
    const env = {
      TEST_REDIS_URL: 'redis://there',
      TEST_MARIADB_URL: 'mysql://there',
      TEST_POSTGRES_URL: 'postgres://there',
      TEST_RABBITMQ_URL: 'amqp://there',
      TEST_NATS_URL: 'nats://there',
    };
    const apart = (given: object) =>
      evaluate(
        `Object.values(withoutUrl(missingServers(['/nowhere']), ${JSON.stringify(given)}))
           .map((servers) => servers.map(({ program }) => program))`,
      );
    expect(apart(env)).toEqual([PROGRAMS.slice(0, 5), PROGRAMS.slice(5)]);
    expect(apart({ TEST_NATS_URL: 'nats://there', TEST_REDIS_URL: '' })).toEqual([
      ['nats-server'],
      PROGRAMS.filter((program) => program !== 'nats-server'),
    ]);
  });

  it('are told of when a URL gives one: what needs a server of its own fails', () => {
    expect(evaluate(`notice(missingServers(['/nowhere']).slice(0, 1))`)).toBe(
      'redis-server was not found: TEST_REDIS_URL serves most tests; those that kill, pause or configure their server fail.',
    );
  });

  it.each([
    { engine: 'answers', isThere: true, inside: '', status: 7, asked: [VERSION, 'info', RUN] },
    { engine: 'does not answer', isThere: false, inside: '', status: 1, asked: [VERSION, 'info'] },
    { engine: 'answers, in the container', isThere: true, inside: '1', status: 1, asked: [] },
  ])('are a container when Docker $engine', ({ isThere, inside, status, asked }) => {
    const docker = join(folder, 'docker');
    writeFileSync(
      docker,
      `#!/bin/sh
       echo "$@" >> '${folder}/asked'
       case "$*" in
         'compose version') exit 0 ;;
         info) exit ${isThere ? 0 : 1} ;;
         *) exit 7 ;;
       esac`,
    );
    chmodSync(docker, 0o755);
    const run = spawnSync(
      process.execPath,
      ['--import', hidingEveryProgram(), join(SCRIPT, '../test.mjs'), 'test/redis', '-t', 'a b'],
      {
        env: { PATH: `${folder}:/bin`, IDEMPOTENCY_TEST_CONTAINER: inside },
        encoding: 'utf8',
      },
    );
    expect(run.status).toBe(status);
    expect(run.stderr.includes('not found: redis-server')).toBe(status === 1);
    const log = join(folder, 'asked');
    expect(existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []).toEqual(asked);
  });

  it('are the same in the container', () => {
    const compose = readFileSync(join(SCRIPT, '../../compose.yaml'), 'utf8');
    const packages = evaluate(
      `missingServers(['/nowhere']).map((server) => server.package).join(' ')`,
    );
    expect(compose).toContain(` ${String(packages)} \\`);
  });

  /** Preloaded: no file can be run, so that no server and no installer is found. */
  function hidingEveryProgram(): string {
    const file = join(folder, 'hide.mjs');
    writeFileSync(
      file,
      `import fs from 'node:fs'; import { syncBuiltinESMExports } from 'node:module';
       fs.accessSync = () => { throw new Error('hidden'); }; syncBuiltinESMExports();`,
    );
    return pathToFileURL(file).href;
  }
});
