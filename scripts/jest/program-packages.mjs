// Packages of so many files that reading them is most of what a program needs to start: each in one file,
// made once for these versions. Usage: node program-packages.mjs, or providePackages().
import { build } from 'esbuild';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SCRIPT = fileURLToPath(import.meta.url);
/** Inside the project, so that other packages are found. */
const FOLDER = join(ROOT, 'node_modules/.cache/test-programs');
const ENTRY = 'package:';

/** Complete: what imports one of them must be here as well, or it would have a copy of its own. */
const NAMES = [
  '@golevelup/nestjs-rabbitmq',
  '@nestjs-cls/transactional',
  '@nestjs-cls/transactional-adapter-typeorm',
  '@nestjs/bullmq',
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/core/exceptions/exceptions-handler.js',
  '@nestjs/core/injector/instance-wrapper.js',
  '@nestjs/core/router/legacy-route-converter.js',
  '@nestjs/core/router/route-path-factory.js',
  '@nestjs/graphql',
  '@nestjs/microservices',
  '@nestjs/platform-express',
  '@nestjs/platform-fastify',
  '@nestjs/schedule',
  '@nestjs/swagger',
  '@nestjs/terminus',
  '@nestjs/typeorm',
  '@nestjs/websockets',
  'nestjs-cls',
  'reflect-metadata',
  'rxjs',
  'rxjs/operators',
  'typeorm',
];

/** @returns the folder's name beside the programs', and each package's file in it */
export async function providePackages() {
  const folder = nameOfFolder();
  // In a process of its own: this one would keep what it has loaded.
  if (!existsSync(join(FOLDER, folder))) await promisify(execFile)(process.execPath, [SCRIPT]);
  return { folder, files: Object.fromEntries(NAMES.map((name) => [name, `${fileOf(name)}.mjs`])) };
}

/** Other versions of the packages, or of this file, are another folder. */
function nameOfFolder() {
  const hash = createHash('sha256').update(process.version);
  for (const file of [join(ROOT, 'package-lock.json'), SCRIPT]) hash.update(readFileSync(file));
  return `packages-${hash.digest('hex').slice(0, 16)}`;
}

const fileOf = (name) => name.replaceAll('/', '+').replace(/\.js$/, '');

async function bundle() {
  mkdirSync(FOLDER, { recursive: true });
  removeOld();
  const contents = new Map();
  // One after the other: CommonJS cannot take a module that is being imported.
  for (const name of NAMES) contents.set(name, await reexport(name));
  // Under a name of its own first: nobody loads what is half written.
  const draft = join(FOLDER, `${process.pid}-packages`);
  await build({
    entryPoints: NAMES.map((name) => ({ in: ENTRY + name, out: fileOf(name) })),
    outdir: draft,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    splitting: true,
    platform: 'node',
    format: 'esm',
    keepNames: true,
    logLevel: 'error',
    // What stays CommonJS asks for it by this name.
    banner: {
      js: "import { createRequire as ownRequire } from 'node:module'; globalThis.require ??= ownRequire(import.meta.url);",
    },
    plugins: [entries(contents), drivers, ownPaths],
  });
  renameSync(draft, join(FOLDER, nameOfFolder()));
}

/** Other versions', which a run that is still going on may use. */
function removeOld() {
  for (const name of readdirSync(FOLDER).filter((each) => each.startsWith('packages-'))) {
    const folder = join(FOLDER, name);
    if (statSync(folder).mtimeMs < Date.now() - 3_600_000)
      rmSync(folder, { recursive: true, force: true });
  }
}

const entries = (contents) => ({
  name: 'entries',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^package:/ }, ({ path }) => ({
      path: path.slice(ENTRY.length),
      namespace: ENTRY,
    }));
    onLoad({ filter: /.*/, namespace: ENTRY }, ({ path }) => ({
      contents: contents.get(path),
      resolveDir: ROOT,
    }));
  },
});

/** All names that Node finds in a package. */
async function reexport(name) {
  const file = fileURLToPath(import.meta.resolve(name));
  if (file.endsWith('.mjs') || manifestOf(file).type === 'module')
    return `export * from '${name}';`;
  const names = Object.keys(await import(name)).filter((each) => /^[\w$]+$/.test(each));
  const own = names.filter((each) => each !== 'default');
  return `const all = require('${name}'); export default all; export const { ${own.join(', ')} } = all;`;
}

/** What a package can work with but does not bring stays outside: drivers, and what is not installed. */
const drivers = {
  name: 'drivers',
  setup({ onResolve }) {
    onResolve({ filter: /^[^./#]/ }, ({ path, importer, namespace }) => {
      const [name] = /^(@[^/]+\/)?[^/]+/.exec(path);
      if (path.startsWith('node:') || namespace === ENTRY || NAMES.includes(name)) return undefined;
      const { name: own, dependencies = {} } = manifestOf(importer);
      return own === name || name in dependencies ? undefined : { path, external: true };
    });
  },
};

/** What is bundled still finds what lies beside it in its package. */
const ownPaths = {
  name: 'own paths',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]node_modules[\\/].*\.[cm]?js$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const head = Object.entries({ __dirname: dirname(path), __filename: path })
        .filter(([name]) => text.includes(name) && !declares(text, name))
        .map(([name, value]) => `var ${name} = ${JSON.stringify(value)}; `)
        .join('');
      if (head === '' && !text.includes('import.meta.url')) return undefined;
      const url = JSON.stringify(pathToFileURL(path).href);
      return { contents: head + text.replaceAll('import.meta.url', url), loader: 'js' };
    });
  },
};

const declares = (text, name) => new RegExp(`\\b(const|let|var) ${name}\\b`).test(text);

/** Of the package that has this file. */
function manifestOf(file) {
  const [folder] = /^.*[\\/]node_modules[\\/](@[^\\/]+[\\/])?[^\\/]+(?=[\\/])/.exec(file);
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

if (process.argv[1] === SCRIPT) await bundle();
