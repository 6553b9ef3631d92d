// Everything that a test run leaves on the machine: one folder, and the processes that know of it.
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The variable that every process of a run inherits. */
export const RUN = 'IDEMPOTENCY_TEST_RUN';

/** The temporary folder of this run; all others of the tests are inside. */
export function makeRunFolder() {
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'idempotency-run-'));
  // Servers that refuse to be root's have folders in it.
  chmodSync(folder, 0o711);
  return folder;
}

/** Clears up when this process ends, in whatever way. */
export function clearUpAfterThisProcess(folder) {
  const sweep = fileURLToPath(new URL('./sweep.mjs', import.meta.url));
  // The shell is waiting until its input ends; it is small, unlike a Node that waits.
  const script = 'trap "" INT TERM HUP; read -r _; exec "$1" "$2" "$3"';
  const watcher = spawn('sh', ['-c', script, 'watch', process.execPath, sweep, folder], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { PATH: process.env.PATH },
    cwd: '/',
  });
  watcher.unref();
  watcher.stdin.unref();
}

/** Ends what still runs because of the run, and removes its folder. */
export function sweep(folder) {
  // What is ending may have started something meanwhile.
  for (let round = 0; round < 20; round++) {
    const left = processesOf(folder);
    if (left.length === 0) break;
    for (const pid of left) kill(pid);
    spawnSync('sleep', ['0.05']);
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
}

function kill(pid) {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** The processes that inherited the run's variable, or that work in its folder. */
export function processesOf(folder) {
  return listed(folder).filter((pid) => pid !== process.pid);
}

function listed(folder) {
  let names;
  try {
    names = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return listedByPs(folder);
  }
  return names.map(Number).filter((pid) => {
    // Some servers write their title over their environment, but stay in their folder.
    const place = attempt(() => readlinkSync(`/proc/${pid}/cwd`));
    if (place === folder || place?.startsWith(`${folder}/`)) return isAlive(pid);
    const environment = attempt(() => readFileSync(`/proc/${pid}/environ`, 'latin1'));
    return environment?.split('\0').includes(`${RUN}=${folder}`) === true && isAlive(pid);
  });
}

/** A process that has ended and was not asked for its exit code is none. */
function isAlive(pid) {
  const status = attempt(() => readFileSync(`/proc/${pid}/stat`, 'latin1'));
  return status !== undefined && !/^\d+ \(.*\) Z /s.test(status);
}

function listedByPs(folder) {
  const { stdout } = spawnSync('ps', ['-axEww', '-o', 'pid=,command='], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return stdout
    .split('\n')
    .filter((line) => line.includes(folder))
    .map((line) => Number.parseInt(line, 10));
}

function attempt(read) {
  try {
    return read();
  } catch {
    return undefined;
  }
}
