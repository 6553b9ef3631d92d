// Writes the Lua and SQL files of the stores into modules, so that nothing is read from disk at
// run time: bundlers and the published package would lose it. Also writes the migrations. With --check it only compares.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './setup.mjs';

const camel = (name) => name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
const HEADER = '// Made by scripts/embed-scripts.mjs from the files beside it. Do not edit.\n';

function redisScripts() {
  const folder = join(root, 'src/stores/redis/lua');
  if (!existsSync(folder)) return [];
  const preludes = ['record.lua', 'bucket.lua'];
  const prelude = preludes.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const entries = readdirSync(folder)
    .filter((file) => file.endsWith('.lua') && !preludes.includes(file))
    .sort()
    .map((file) => {
      const source = strip(`${prelude}\n${readFileSync(join(folder, file), 'utf8')}`);
      const sha1 = createHash('sha1').update(source).digest('hex');
      return `  ${camel(file.slice(0, -'.lua'.length))}: {\n    sha1: '${sha1}',\n    source: ${JSON.stringify(source)},\n  },\n`;
    });
  const module = `${HEADER}\nexport const SCRIPTS = {\n${entries.join('')}} as const;\n`;
  return [[join(root, 'src/stores/redis/scripts.generated.ts'), module]];
}

/**
 * One statement per file, or two where it has sections for limited callers; what a dialect calls the time
 * is put in, `:name` becomes its placeholder.
 */
function sqlStatements() {
  const folder = join(root, 'src/stores/sql/statements');
  if (!existsSync(folder)) return [];
  const dialects = ['mysql', 'postgres', 'sqlite'].map((dialect) => {
    const source = (file) => readFileSync(join(folder, dialect, file), 'utf8');
    const read = (file) => strip(source(file));
    const clocks = [
      ['{{now_ms}}', read('now-ms.sql')],
      ['{{now_us}}', read('now-us.sql')],
    ];
    const withClocks = (statement) =>
      clocks.reduce((text, [name, clock]) => text.replaceAll(name, clock), statement);
    const entries = readdirSync(join(folder, dialect))
      .filter((file) => file.endsWith('.sql') && !file.startsWith('now-'))
      .sort()
      .flatMap((file) => variants(camel(file.slice(0, -'.sql'.length)), source(file)))
      .map(([name, statement]) => {
        const { text, parameters } = bind(dialect, withClocks(strip(statement)));
        const list = JSON.stringify(parameters);
        return `    ${name}: {\n      text: ${JSON.stringify(text)},\n      parameters: ${list},\n    },\n`;
      });
    return `  ${dialect}: {\n${entries.join('')}  },\n`;
  });
  const module = `${HEADER}\nexport const SQL = {\n${dialects.join('')}} as const;\n`;
  return [[join(root, 'src/stores/sql/sql.generated.ts'), module]];
}

/** What `sqlMigration()` gives for the usual names, as files for teams that run SQL by hand. */
function migrationFiles() {
  const folder = join(root, 'src/stores/sql/statements');
  const table = 'idempotency_records';
  return ['mysql', 'postgres', 'sqlite'].flatMap((dialect) =>
    [
      ['create-table', `${dialect}.sql`],
      ['add-limits', `${dialect}.limits.sql`],
      ['add-story', `${dialect}.story.sql`],
    ].map(([source, file]) => {
      const quote = dialect === 'mysql' ? '`' : '"';
      const named = (name) => `${quote}${name}${quote}`;
      const text = readFileSync(join(folder, dialect, `${source}.sql`), 'utf8')
        .replaceAll('{{table}}', named(table))
        .replaceAll('{{index}}', named(`${table}_purge_at`))
        .replaceAll('{{alive_index}}', named(`${table}_alive`))
        .replaceAll('{{new_keys_index}}', named(`${table}_new_keys`));
      return [join(root, 'migrations', file), text];
    }),
  );
}

/** Lines from `-- limited:` to `-- unlimited:` or `-- end` are for limited callers, the others not. */
const SECTION = /^-- limited:\n([^]*?)(?:^-- unlimited:\n([^]*?))?^-- end\n/gm;

function variants(name, source) {
  const plain = source.replace(SECTION, (_, _limited, unlimited = '') => unlimited);
  if (plain === source) return [[name, source]];
  return [
    [name, plain],
    [`${name}Limited`, source.replace(SECTION, (_, limited) => limited)],
  ];
}

/** PostgreSQL numbers its parameters; elsewhere one that comes twice is handed in twice. */
function bind(dialect, source) {
  const parameters = [];
  const text = source.replace(/(?<![:\w]):([a-z_]+)/g, (_, name) => {
    if (dialect !== 'postgres') {
      parameters.push(name);
      return '?';
    }
    if (!parameters.includes(name)) parameters.push(name);
    return `$${parameters.indexOf(name) + 1}`;
  });
  return { text, parameters };
}

/** Comments are for readers; the server need not keep them. */
function strip(source) {
  return source
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.trim().startsWith('--'))
    .join('\n');
}

let stale = 0;
for (const [file, module] of [...redisScripts(), ...sqlStatements(), ...migrationFiles()]) {
  if (existsSync(file) && readFileSync(file, 'utf8') === module) continue;
  stale += 1;
  if (!process.argv.includes('--check')) writeFileSync(file, module);
}
if (process.argv.includes('--check') && stale > 0) {
  console.error('Embedded scripts are out of date: run `node scripts/embed-scripts.mjs`.');
  process.exit(1);
}
