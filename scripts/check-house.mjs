import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import floors from './floors.cjs';

/** A longer file can be split. */
const MOST_LINES = 400;
/** A shorter file belongs with another one, unless the list gives a reason. */
const FEWEST_LINES = 40;
/**
 * Words for which the glossary has another one. They must not appear in code, Lua, SQL or
 * documents.
 */
const BANNED_WORDS = [{ word: /retention/i, use: 'ttl' }];

const scripts = dirname(fileURLToPath(import.meta.url));
const root = join(scripts, '..');
const source = join(root, 'src');
const shortFiles = JSON.parse(readFileSync(join(scripts, 'short-files.json'), 'utf8'));
const problems = [];

/** Lines by path, of every file that somebody has written. */
const lines = new Map(
  readdirSync(source, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.generated.ts'))
    .map((name) => [
      name.split(sep).join('/'),
      readFileSync(join(source, name), 'utf8').split('\n').length - 1,
    ]),
);

for (const [name, count] of lines) {
  if (count > MOST_LINES) problems.push(`${name} has ${count} lines; at most ${MOST_LINES}.`);
  if (count < FEWEST_LINES && !(name in shortFiles))
    problems.push(
      `${name} has ${count} lines. Merge it with a related file, or give a reason in scripts/short-files.json.`,
    );
}

for (const [name, reason] of Object.entries(shortFiles)) {
  const count = lines.get(name);
  if (count === undefined) problems.push(`scripts/short-files.json: ${name} no longer exists.`);
  else if (count >= FEWEST_LINES)
    problems.push(
      `scripts/short-files.json: ${name} has ${count} lines and is no longer short. Remove it from the list.`,
    );
  if (typeof reason !== 'string' || reason.trim() === '')
    problems.push(`scripts/short-files.json: ${name} has no reason.`);
}

const folders = new Set([...lines.keys()].map((name) => dirname(name)));
const known = floors.FLOORS.flat();
for (const folder of folders)
  if (!known.includes(folder)) problems.push(`${folder} has no floor in scripts/floors.cjs.`);
for (const folder of known)
  if (!folders.has(folder)) problems.push(`scripts/floors.cjs: ${folder} no longer exists.`);

for (const folder of ['src', 'docs'])
  for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|lua|sql|md)$/.test(name)) continue;
    const text = readFileSync(join(root, folder, name), 'utf8').split('\n');
    for (const { word, use } of BANNED_WORDS)
      [name, ...text].forEach((line, number) => {
        if (word.test(line))
          problems.push(`${folder}/${name}:${number}: docs/glossary.md says "${use}" for this.`);
      });
  }

if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
} else {
  const sorted = [...lines.values()].sort((one, other) => one - other);
  const median = sorted[Math.floor(sorted.length / 2)];
  console.log(
    `${relative(process.cwd(), source)}: ${sorted.length} files, median ${median} lines, longest ${sorted.at(-1)}.`,
  );
}
