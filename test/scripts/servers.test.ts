import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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
  'chromium',
];

/** Runs a line of code beside the exports of the script, and answers what it prints. */
function evaluate(code: string): unknown {
  const program = `
    import { missingServers, remedy, searchedFolders } from ${JSON.stringify(pathToFileURL(SCRIPT))};
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
      /apt-get install redis-server mariadb-server postgresql rabbitmq-server nats-server chromium\)/,
    );
    expect(told).toMatch(/docker run/);
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
