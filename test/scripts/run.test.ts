import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { eventually } from '../support/http.js';

const ROOT = resolve(import.meta.dirname, '../..');
const PATIENCE_MS = 240_000;

interface Probe {
  readonly ports: number[];
  readonly pids: number[];
}

describe('a run of the tests', () => {
  let folder: string;
  let temporary: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'idempotency-runs-'));
    // Servers that refuse to be root's have folders in it.
    chmodSync(folder, 0o711);
    temporary = join(folder, 'temporary');
    mkdirSync(temporary);
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  /** `npm test` with the probe alone. */
  function probe(...options: string[]) {
    const run = spawn(
      process.execPath,
      [
        'scripts/test.mjs',
        'interrupted',
        '--testMatch=**/test/scripts/programs/*.probe.ts',
        '--maxWorkers=1',
        ...options,
      ],
      {
        cwd: ROOT,
        env: { ...process.env, TMPDIR: temporary, PROBE_FILE: join(folder, 'probe') },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    let told = '';
    for (const output of [run.stdout, run.stderr])
      output.setEncoding('utf8').on('data', (text: string) => (told += text));
    const ended = once(run, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
    return { run, ended, told: () => told };
  }

  const started = async ({ run, told }: ReturnType<typeof probe>): Promise<Probe> => {
    await eventually(() => {
      if (run.exitCode !== null) throw new Error(told());
      return existsSync(join(folder, 'probe'));
    }, PATIENCE_MS);
    return JSON.parse(readFileSync(join(folder, 'probe'), 'utf8')) as Probe;
  };

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'leaves no process and no folder when %s interrupts it',
    async (signal) => {
      const probed = probe();
      const { run, ended } = probed;
      const { ports, pids } = await started(probed);
      expect(pids.every(isRunning)).toBe(true);
      run.kill(signal);
      expect(await ended).toEqual([null, signal]);
      expect(pids.filter(isRunning)).toEqual([]);
      for (const port of ports) await expect(isListening(port)).resolves.toBe(false);
      expect(readdirSync(temporary)).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'leaves nothing, after a moment, when it is killed',
    async () => {
      const probed = probe();
      const { run, ended } = probed;
      const { pids } = await started(probed);
      run.kill('SIGKILL');
      await ended;
      const [, jest] = pids;
      process.kill(jest!, 'SIGKILL');
      await eventually(() => !pids.some(isRunning), PATIENCE_MS);
      await eventually(() => readdirSync(temporary).length === 0, PATIENCE_MS);
      expect(pids.filter(isRunning)).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'says what waited in vain, and what its servers said, and goes on',
    async () => {
      const { ended, told } = probe('--testTimeout=20000');
      expect(await ended).toEqual([1, null]);
      expect(told()).toMatch(
        /interrupted\.probe\.ts waited in vain in "goes on for ever, .*"\.\n(.*\n)*? {2}idempotency-postgres-.*\.log:\n(.*\n)*?.*ready to accept connections/,
      );
      expect(told()).toContain('✓ comes after');
      expect(readdirSync(temporary)).toEqual([]);
    },
    PATIENCE_MS,
  );

  it('names what has not ended while it is running', () => {
    const reporter = JSON.stringify(join(ROOT, 'scripts/jest/reporter.mjs'));
    const { stderr } = spawnSync(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import Reporter from ${reporter};
         const reporter = new Reporter({ rootDir: '/project' }, { longMs: 20, lookEveryMs: 5 });
         reporter.onRunStart();
         for (const name of ['hook', 'test', 'after']) reporter.onTestFileStart({ path: '/project/' + name });
         reporter.onTestCaseStart({ path: '/project/test' }, { fullName: 'pays once' });
         reporter.onTestCaseResult({ path: '/project/after' }, { fullName: 'pays twice' });
         setTimeout(() => reporter.onRunComplete(), 200);`,
      ],
      { encoding: 'utf8', env: { PATH: process.env.PATH } },
    );
    expect(stderr.replaceAll(/\d+ s/g, 'N s').split('\n').filter(Boolean)).toEqual([
      'hook has been at its imports or a hook for N s.',
      'test has been at "pays once" for N s.',
      'after has been at a hook or a test after "pays twice" for N s.',
    ]);
  });
});

function isRunning(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' });
  return stdout.trim() !== '' && !stdout.startsWith('Z');
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
