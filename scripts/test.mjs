// npm test            every kind of proof once
// npm run test:quick  the types, and the tests that need neither a server nor a browser nor a build
// npm run test:full   the matrices, the long runs, the large tables
//
// What follows `--` goes to Jest: folders, files, options. Two are not Jest's: `--write-durations`
// renews test/durations.json, `--built` takes what is built already.
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join, relative, sep } from 'node:path';
import { needsOf } from './jest/needs.mjs';
import { makeRunFolder, processesOf, RUN, sweep } from './jest/run-folder.mjs';
import { hasDocker, provideServers, runInContainer } from './servers.mjs';
import { buildLibrary, buildSample, install, root, tool } from './setup.mjs';

const OURS = ['--quick', '--full', '--write-durations', '--built'];
const GIB = 1024 ** 3;
/** What a worker and its servers take; more is left to the machine and the shared servers. */
const WORKER_BYTES = 1.5 * GIB;
const SHARED_BYTES = 2 * GIB;

const given = process.argv.slice(2);
const isQuick = given.includes('--quick');
const isFull = given.includes('--full');
const args = given.filter((arg) => !OURS.includes(arg));
const patterns = args.filter((arg, index) => !arg.startsWith('-') && !takesValue(args[index - 1]));

const files = testFiles().filter(isWanted);
const needs = new Map(files.map((file) => [file, needsOf(join(root, file))]));
const chosen = isQuick ? files.filter((file) => needs.get(file).size === 0) : files;
const someNeed = (...names) =>
  chosen.some((file) => names.some((name) => needs.get(file).has(name)));

const env = { ...process.env };
if (someNeed('servers', 'browser', 'processes')) {
  try {
    env.PATH = provideServers();
  } catch (error) {
    if (hasDocker()) process.exit(runInContainer(root, 'node', 'scripts/test.mjs', ...given));
    console.error(error.message);
    process.exit(1);
  }
}
install();
if (someNeed('build') && !given.includes('--built')) {
  await buildLibrary();
  if (existsSync(join(root, 'sample-app'))) await buildSample();
}
process.exitCode = await (isQuick ? quick() : jest([]));

/** Both at once: a machine with one core is not slower for it. */
async function quick() {
  const types = tool('typescript/bin/tsc', [
    '-p',
    'tsconfig.json',
    '--incremental',
    '--tsBuildInfoFile',
    'node_modules/.cache/quick.tsbuildinfo',
  ]);
  return Math.max(await jest(['--runTestsByPath', ...chosen]), await types);
}

/** In a folder of its own, so that nothing is left of a run that was interrupted. */
async function jest(more) {
  const folder = makeRunFolder();
  const options = args.some((arg) => /^(-w|--maxWorkers|-i$|--runInBand)/.test(arg))
    ? []
    : ['--maxWorkers', String(workers())];
  const child = spawn(
    process.execPath,
    [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(root, 'node_modules/jest/bin/jest.js'),
      ...(isQuick ? args.filter((arg) => !patterns.includes(arg)) : args),
      ...options,
      ...more,
    ],
    {
      cwd: root,
      stdio: 'inherit',
      env: {
        ...env,
        [RUN]: folder,
        ...(isFull && { TEST_TIER: 'full' }),
        ...(given.includes('--write-durations') && { WRITE_DURATIONS: '1' }),
      },
    },
  );
  let interrupted;
  const listeners = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
    const listener = () => {
      interrupted ??= signal;
      child.kill('SIGKILL');
    };
    process.on(signal, listener);
    return [signal, listener];
  });
  const code = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status) => resolve(status ?? 1));
  });
  const left = processesOf(folder);
  sweep(folder);
  for (const [signal, listener] of listeners) process.off(signal, listener);
  if (interrupted !== undefined) {
    console.error(`\nInterrupted: ${left.length} processes were ended.`);
    process.kill(process.pid, interrupted);
  }
  return code;
}

/** One more than cores: much of the time a test waits for a server, or for a lease to end. */
function workers() {
  const byMemory = Math.floor((totalmem() - SHARED_BYTES) / WORKER_BYTES);
  return Math.max(1, Math.min(availableParallelism() + 1, byMemory));
}

/** As Jest's configuration says, from the root. */
function testFiles() {
  const below = (folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) =>
      [folder, ...name.split(sep)].join('/'),
    );
  const tests = below('test')
    .filter((file) => file.endsWith('.test.ts') && !file.includes('/node_modules/'))
    .filter((file) => !file.startsWith('test/consumers/templates/'))
    .filter((file) => file.endsWith('.full.test.ts') === isFull);
  return isFull ? tests : [...tests, ...below('src').filter((file) => file.endsWith('.spec.ts'))];
}

function isWanted(file) {
  const names = [file, join(root, file), relative(process.cwd(), join(root, file))];
  return (
    patterns.length === 0 ||
    patterns.some((pattern) => names.some((name) => new RegExp(pattern, 'i').test(name)))
  );
}

/** Options of Jest whose value may stand apart. */
function takesValue(option) {
  return /^(-t|--testNamePattern|-w|--maxWorkers|--testTimeout|--outputFile|--shard|--seed|-c|--config|--reporters)$/.test(
    option ?? '',
  );
}
