// Names what hangs while it does, with what the servers say; and the slowest files at the end.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { writeDurations } from './durations.mjs';
import { RUN } from './run-folder.mjs';

const DEFAULTS = { longMs: 50_000, lookEveryMs: 2_000 };
const SLOWEST = 10;
const LAST_LINES = 12;
const TIMED_OUT = /Exceeded timeout of|did not start:/;

export default class Reporter {
  /** What each file that is running is at. */
  #running = new Map();
  #durations = new Map();
  #looking;

  constructor({ rootDir }, options = {}) {
    this.rootDir = rootDir;
    this.options = { ...DEFAULTS, ...options };
  }

  onRunStart() {
    this.#looking = setInterval(() => this.#look(), this.options.lookEveryMs);
    this.#looking.unref();
  }

  onTestFileStart({ path }) {
    this.#running.set(path, { at: 'its imports or a hook', since: Date.now() });
  }

  onTestCaseStart({ path }, { fullName }) {
    this.#running.set(path, { at: `"${fullName}"`, since: Date.now() });
  }

  onTestCaseResult({ path }, { fullName, failureMessages }) {
    this.#running.set(path, { at: `a hook or a test after "${fullName}"`, since: Date.now() });
    if (failureMessages?.some((message) => TIMED_OUT.test(message)))
      this.#say(`${this.#name(path)} timed out in "${fullName}".`, path);
  }

  async onTestFileResult({ path }, { perfStats }) {
    this.#running.delete(path);
    this.#durations.set(path, perfStats.end - perfStats.start);
    await globalThis.idempotencyTestRun?.giveBack(path);
  }

  onRunComplete() {
    clearInterval(this.#looking);
    const slowest = [...this.#durations].sort(([, a], [, b]) => b - a).slice(0, SLOWEST);
    if (slowest.length > 1) {
      const rows = slowest.map(
        ([path, ms]) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${this.#name(path)}`,
      );
      process.stderr.write(`\nThe slowest files:\n${rows.join('\n')}\n`);
    }
    if (process.env.WRITE_DURATIONS !== undefined) writeDurations(this.#durations);
  }

  #look() {
    for (const [path, state] of this.#running) {
      const forMs = Date.now() - state.since;
      if (forMs < this.options.longMs || state.told) continue;
      state.told = true;
      this.#say(
        `${this.#name(path)} has been at ${state.at} for ${Math.round(forMs / 1000)} s.`,
        path,
      );
    }
  }

  /** With the last lines of the servers that the file uses, or may use. */
  #say(what, path) {
    process.stderr.write(`\n${what}\n${lastLinesOf(path)}`);
  }

  #name(path) {
    return relative(this.rootDir, path);
  }
}

/** Beside its folder, each server has a log that begins with the path of the test file. */
function lastLinesOf(path) {
  const folder = process.env[RUN];
  if (folder === undefined) return '';
  let told = '';
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.log'))) {
    const [owner, ...lines] = readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
    if (lines.length === 0 || (owner !== path && owner !== 'shared')) continue;
    told += [`  ${name}:`, ...lines.slice(-LAST_LINES).map((line) => `    ${line}`), ''].join('\n');
  }
  return told;
}
