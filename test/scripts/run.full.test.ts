import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
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

/** `npm test` with the probe alone, and temporary files in a folder of its own. */
class ProbeRun {
  private readonly folder = mkdtempSync(join(tmpdir(), 'idempotency-runs-'));
  private readonly temporary = join(this.folder, 'temporary');
  private readonly file = join(this.folder, 'probe');
  private readonly run: ChildProcess;
  readonly ended: Promise<[number | null, NodeJS.Signals | null]>;
  told = '';

  constructor(...options: string[]) {
    // Servers that refuse to be root's have folders in it.
    chmodSync(this.folder, 0o711);
    mkdirSync(this.temporary);
    this.run = spawn(
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
        env: { ...process.env, TMPDIR: this.temporary, PROBE_FILE: this.file },
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    for (const output of [this.run.stdout, this.run.stderr])
      output?.setEncoding('utf8').on('data', (text: string) => (this.told += text));
    this.ended = once(this.run, 'exit') as typeof this.ended;
  }

  async started(): Promise<Probe> {
    await eventually(() => {
      if (this.run.exitCode !== null) throw new Error(this.told);
      return existsSync(this.file);
    }, PATIENCE_MS);
    return JSON.parse(readFileSync(this.file, 'utf8')) as Probe;
  }

  kill(signal: NodeJS.Signals): void {
    this.run.kill(signal);
  }

  get left(): string[] {
    return readdirSync(this.temporary);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }
}

describe('a run of the tests', () => {
  let runs: Record<'SIGINT' | 'SIGTERM' | 'SIGKILL', ProbeRun>;
  let waiting: ProbeRun;

  beforeAll(() => {
    // All at once: each waits for servers most of the time.
    const lasting = (): ProbeRun => new ProbeRun(`--testTimeout=${PATIENCE_MS}`);
    runs = { SIGINT: lasting(), SIGTERM: lasting(), SIGKILL: lasting() };
    waiting = new ProbeRun('--testTimeout=20000');
  });

  afterAll(() => [...Object.values(runs), waiting].forEach((run) => run.remove()));

  it.each(['SIGINT', 'SIGTERM'] as const)(
    'leaves no process and no folder when %s interrupts it',
    async (signal) => {
      const run = runs[signal];
      const { ports, pids } = await run.started();
      expect(pids.every(isRunning)).toBe(true);
      run.kill(signal);
      expect(await run.ended).toEqual([null, signal]);
      expect(pids.filter(isRunning)).toEqual([]);
      for (const port of ports) await expect(isListening(port)).resolves.toBe(false);
      expect(run.left).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'leaves nothing, after a moment, when it is killed',
    async () => {
      const run = runs.SIGKILL;
      const { pids } = await run.started();
      run.kill('SIGKILL');
      await run.ended;
      const [, jest] = pids;
      process.kill(jest!, 'SIGKILL');
      await eventually(() => !pids.some(isRunning), PATIENCE_MS);
      await eventually(() => run.left.length === 0, PATIENCE_MS);
      expect(pids.filter(isRunning)).toEqual([]);
    },
    PATIENCE_MS,
  );

  it(
    'says what waited in vain, and what its servers said, and goes on',
    async () => {
      expect(await waiting.ended).toEqual([1, null]);
      expect(waiting.told).toMatch(
        /interrupted\.probe\.ts timed out in "goes on for ever, .*"\.\n(.*\n)*? {2}idempotency-postgres-.*\.log:\n(.*\n)*?.*ready to accept connections/,
      );
      expect(waiting.told).toContain('✓ comes after');
      expect(waiting.left).toEqual([]);
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
