// npm run test:sabotage: puts each fault of test/sabotage/faults into a copy of the project, and
// runs the tests that should notice. A fault that no test notices survives, and fails the run.
//
//   npm run test:sabotage -- [text …] [--jobs 2] [--shard 1/4] [--list]
//
// With texts only the faults whose name, file or broken promise has one of them; with a shard only
// that part of them, for a list that several runs share.
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Copy, UnusableFaultError } from './sabotage-copy.mjs';
import { Jest } from './sabotage-tests.mjs';
import { provideServers } from './servers.mjs';
import { install, root } from './setup.mjs';

const { values: options, positionals: texts } = parseArgs({
  allowPositionals: true,
  options: {
    jobs: { type: 'string', default: '1' },
    shard: { type: 'string', default: '1/1' },
    list: { type: 'boolean', default: false },
  },
});
const jobs = Number(options.jobs);
if (!Number.isInteger(jobs) || jobs < 1) {
  console.error(`--jobs must be a whole number of 1 or more, not "${options.jobs}".`);
  process.exit(2);
}

const [shard, shards] = options.shard.split('/').map(Number);
if (!(Number.isInteger(shard) && Number.isInteger(shards) && 1 <= shard && shard <= shards)) {
  console.error(`--shard must be a part of a whole, such as 1/4, not "${options.shard}".`);
  process.exit(2);
}

install();
const faults = partOf((await loadFaults()).filter(isWanted));
if (faults.length === 0) {
  console.error('No fault matches.');
  process.exit(2);
}
if (options.list) {
  for (const { name, breaks, file } of faults)
    console.log(`${name}\n    ${breaks.join(', ')}: ${file}`);
  console.log(`${faults.length} faults`);
  process.exit(0);
}

const startedAtMs = Date.now();
const copies = [];
const jest = new Jest({ ...process.env, PATH: provideServers(), FORCE_COLOR: '0' });
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => {
    console.error('\nInterrupted.');
    cleanUp();
    process.exit(130);
  });

const unusable = [];
/** Test files that say nothing of a fault, because they fail without one. */
const redFiles = new Set();
let killed = 0;
const survivors = [];
try {
  for (let job = 0; job < jobs; job++) {
    const copy = Copy.make(root);
    copies.push(copy);
    copy.makeAnew();
  }
  await checkBaseline();
  await inTurns(faults, tryFault);
} finally {
  cleanUp();
}
report();

async function loadFaults() {
  const { build } = await import('esbuild');
  const { outputFiles } = await build({
    entryPoints: [join(root, 'test/sabotage/faults/index.ts')],
    bundle: true,
    format: 'esm',
    write: false,
    logLevel: 'error',
  });
  const code = Buffer.from(outputFiles[0].contents).toString('base64');
  return (await import(`data:text/javascript;base64,${code}`)).FAULTS;
}

function isWanted({ name, file, breaks }) {
  return (
    texts.length === 0 ||
    [name, file, ...breaks].some((text) => texts.some((one) => text.includes(one)))
  );
}

/** Neighbours stay together, because they often need the same tests. */
function partOf(all) {
  const first = (part) => Math.floor((all.length * part) / shards);
  return all.slice(first(shard - 1), first(shard));
}

/** Every test that is needed passes where nothing is broken, and there are tests of these names. */
async function checkBaseline() {
  const patterns = new Map();
  for (const [file, pattern] of faults.flatMap(({ tests }) => tests).map(partsOf)) {
    if (!patterns.has(file)) patterns.set(file, new Set());
    patterns.get(file).add(pattern);
  }
  console.log(`${patterns.size} test files, unbroken:`);
  await inTurns([...patterns], async (copy, [file, wanted]) => {
    const names = wanted.has(undefined)
      ? undefined
      : [...wanted].map((one) => `(?:${one})`).join('|');
    const beganAtMs = Date.now();
    const result = await jest.run(copy, file, names);
    console.log(
      `${seconds(beganAtMs)}  ${result.verdict === 'survived' ? 'green' : 'RED  '}  ${file}`,
    );
    if (result.verdict !== 'survived') {
      redFiles.add(file);
      unusable.push([file, `It is red without any fault. ${result.by ?? ''} ${result.why}`]);
      return;
    }
    for (const pattern of wanted)
      if (
        pattern !== undefined &&
        !result.tests.some((test) => new RegExp(pattern, 'i').test(test.fullName))
      )
        unusable.push([file, `No test has a name like "${pattern}".`]);
  });
}

async function tryFault(copy, fault) {
  const beganAtMs = Date.now();
  const { verdict, by, why } = await copy
    .with(fault, () => firstKill(copy, fault))
    .catch((error) => {
      if (!(error instanceof UnusableFaultError)) throw error;
      return { verdict: 'unusable', why: error.message };
    });
  console.log(`${seconds(beganAtMs)}  ${verdict.padEnd(8)}  ${fault.name}`);
  if (verdict === 'killed') {
    killed += 1;
    console.log(`                     by ${by}`);
  }
  if (verdict === 'survived') survivors.push(fault);
  if (verdict === 'unusable') unusable.push([fault.name, why]);
}

async function firstKill(copy, { tests }) {
  let result = { verdict: 'unusable', why: 'It names no test.' };
  for (const [file, pattern] of tests.map(partsOf)) {
    if (redFiles.has(file))
      return { verdict: 'unusable', why: `${file} is red without any fault.` };
    result = await jest.run(copy, file, pattern);
    if (result.verdict !== 'survived') return result;
  }
  return result;
}

/** Each copy takes the next one as soon as it is free. */
async function inTurns(all, work) {
  const queue = [...all];
  await Promise.all(
    copies.map(async (copy) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift())
        await work(copy, next);
    }),
  );
}

function partsOf(run) {
  return typeof run === 'string' ? [run, undefined] : run;
}

function cleanUp() {
  jest.stop();
  for (const copy of copies) copy.remove();
}

function report() {
  for (const { name, breaks, file, tests } of survivors) {
    console.error(`\nsurvived: ${name}`);
    console.error(`  breaks ${breaks.join(', ')} in ${file}`);
    console.error(
      `  not noticed by ${tests.map((run) => partsOf(run).filter(Boolean).join(': ')).join('; ')}`,
    );
  }
  for (const [name, why] of unusable) console.error(`\nunusable: ${name}\n  ${why}`);
  const minutes = ((Date.now() - startedAtMs) / 60_000).toFixed(1);
  console.log(
    `\n${minutes} minutes${unusable.length === 0 ? '' : `, ${unusable.length} unusable`}`,
  );
  console.log(`${faults.length} faults, ${killed} killed, ${survivors.length} survived`);
  process.exitCode = survivors.length === 0 && unusable.length === 0 ? 0 : 1;
}

function seconds(sinceMs) {
  return `${((Date.now() - sinceMs) / 1000).toFixed(1).padStart(6)} s`;
}
