// How long each test file takes: committed, so that a fresh clone begins with the long ones, too.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { root } from '../setup.mjs';

const TABLE = join(root, 'test/durations.json');
/** Those that take less are not worth a line. */
const LEAST_SECONDS = 3;

const nameOf = (path) => relative(root, path).split(sep).join('/');

function read() {
  return existsSync(TABLE) ? JSON.parse(readFileSync(TABLE, 'utf8')) : {};
}

/** Milliseconds by path, as far as they are known. */
export function knownDurations() {
  const table = read();
  return (path) => (table[nameOf(path)] ?? LEAST_SECONDS) * 1000;
}

/** @param measured pairs of a path and its milliseconds */
export function writeDurations(measured) {
  const table = read();
  for (const [path, ms] of measured) table[nameOf(path)] = Math.round(ms / 1000);
  const lines = Object.entries(table)
    .filter(([name, seconds]) => seconds > LEAST_SECONDS && existsSync(join(root, name)))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(TABLE, `${JSON.stringify(Object.fromEntries(lines), null, 2)}\n`);
}
