// Runs tests in a copy of the project, and says what a failure is worth.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import reporter from './sabotage-reporter.cjs';

/** After this Jest is ended: a fault that makes tests hang needs a test that fails instead. */
const LONGEST_RUN_MS = 300_000;

/** What does not work, or not begin, at all fails every test, and proves nothing about any of them. */
const BROKEN_PROGRAM = [
  /^ReferenceError: /m,
  /Exceeded timeout of \d+ ms for a hook/,
  /Error compiling script/,
  /ERR (?:user_script|Error running script)/,
  /syntax error at or near/,
  /You have an error in your SQL syntax/,
  /near "[^"]*": syntax error/,
  /no such column/,
  /Unknown column/,
  /column "?[\w.]+"? does not exist/,
];

/** True for a test that failed for what it is about. */
export function isSound({ status, failureMessages }) {
  const isBroken = (text) => BROKEN_PROGRAM.some((broken) => broken.test(text));
  return status === 'failed' && !failureMessages.some(isBroken);
}

/**
 * What the tests that have ended say of a fault:
 * - `killed`: one of them failed for what it is about;
 * - `survived`: tests ran, and all passed;
 * - `unusable`: none ran, or none that failed had a working program to run.
 */
export function verdictOf(tests) {
  const killer = tests.find(isSound);
  if (killer) return { verdict: 'killed', by: killer.fullName, why: beginningOf(killer) };
  const other = tests.find(({ status }) => status !== 'passed');
  if (other) return { verdict: 'unusable', why: beginningOf(other) };
  return tests.length === 0
    ? { verdict: 'unusable', why: 'No test has this name.' }
    : { verdict: 'survived', tests };
}

/** Jest in a process group of its own, so that ending it ends what it has started. */
export class Jest {
  running = new Set();
  isStopped = false;

  constructor(env) {
    this.env = env;
  }

  /**
   * @param pattern of the names of tests; absent for all of the file
   * @returns what {@link verdictOf} says of these tests, as soon as it is known
   */
  async run({ folder, temporary }, file, pattern) {
    const args = ['--runTestsByPath', file, '--runInBand', '--ci', '--silent', '--forceExit'];
    if (pattern !== undefined) args.push('--testNamePattern', pattern);
    args.push(`--reporters=${join(folder, 'scripts/sabotage-reporter.cjs')}`);
    const { tests, errors, isLate } = await this.follow(folder, temporary, args);
    const result = verdictOf(tests);
    if (result.verdict === 'killed') return result;
    if (isLate)
      return { verdict: 'unusable', why: `No end within ${LONGEST_RUN_MS / 1000} seconds.` };
    return tests.length === 0
      ? { ...result, why: `${result.why} ${errors.slice(0, 400)}` }
      : result;
  }

  /** Ends everything that runs. */
  stop() {
    this.isStopped = true;
    for (const child of this.running) endGroup(child);
  }

  /** Until Jest has ended, or a test says all that there is to say. */
  follow(cwd, temporary, args) {
    return new Promise((resolve, reject) => {
      if (this.isStopped) return reject(new Error('Interrupted.'));
      const child = spawn(
        process.execPath,
        [
          '--experimental-vm-modules',
          '--disable-warning=ExperimentalWarning',
          join(cwd, 'node_modules/jest/bin/jest.js'),
          ...args,
        ],
        {
          cwd,
          env: { ...this.env, TMPDIR: temporary },
          detached: true,
          stdio: ['ignore', 'pipe', 'pipe'],
        },
      );
      this.running.add(child);
      const tests = [];
      let errors = '';
      let isLate = false;
      child.stderr
        .setEncoding('utf8')
        .on('data', (text) => (errors = (errors + text).slice(-4000)));
      const lines = createInterface({ input: child.stdout });
      lines.on('line', (line) => {
        if (!line.startsWith(reporter.MARK)) return;
        const test = JSON.parse(line.slice(reporter.MARK.length));
        tests.push(test);
        if (isSound(test)) endGroup(child);
      });
      const timer = setTimeout(() => {
        isLate = true;
        endGroup(child);
      }, LONGEST_RUN_MS);
      child.on('error', reject);
      child.on('exit', () => {
        // What a test has left behind, such as a program that it had started.
        endGroup(child);
      });
      child.on('close', () => {
        clearTimeout(timer);
        this.running.delete(child);
        resolve({ tests, errors, isLate });
      });
    });
  }
}

function endGroup({ pid }) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function beginningOf({ failureMessages: [text = ''] }) {
  // oxlint-disable-next-line no-control-regex -- Jest's colours
  const lines = text.replace(/\u001b\[[0-9;]*m/g, '').split('\n');
  const told = lines.filter((line) => line.trim() !== '').slice(0, 3);
  return told.join(' ').slice(0, 300);
}
