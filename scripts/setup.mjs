import { spawn, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs `npm` with the copy that started this script, so that its version stays the same. */
function npm(args, stdout = 'inherit', cwd = root) {
  const cli = process.env.npm_execpath;
  const own = cli !== undefined && /\.c?js$/.test(cli);
  const options = { cwd, encoding: 'utf8', stdio: ['ignore', stdout, 'inherit'] };
  const result = own
    ? spawnSync(process.execPath, [cli, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' });
  if (result.error) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
  return result.stdout;
}

/**
 * What is installed, compared with what the lock file asks for. By content, not by date: a fresh
 * clone, a copy and a restored cache all carry dates that say nothing.
 */
function installed() {
  const wanted = join(root, 'package-lock.json');
  const present = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(present)) return false;
  const lock = JSON.parse(readFileSync(wanted, 'utf8')).packages;
  const tree = JSON.parse(readFileSync(present, 'utf8')).packages;
  return Object.entries(lock).every(
    ([path, entry]) =>
      path === '' || tree[path]?.version === entry.version || (entry.optional && !tree[path]),
  );
}

/** Installs the dependencies when they are missing or differ from the lock file. */
export function install() {
  if (installed()) return;
  console.log('Installing dependencies …');
  // `--include=dev`: building needs the compiler, also where NODE_ENV is production.
  npm(['ci', '--include=dev', '--loglevel=error']);
}

/**
 * Packs what is built, as it would be published, and returns the path of the tarball.
 *
 * @param from the folder of the package: the library's, or {@link CLIENT_PACKAGE}
 */
export function pack(folder, from = root) {
  // `--ignore-scripts`: what was built and tested is what is packed; no second build.
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder];
  const [{ filename }] = JSON.parse(npm(args, 'pipe', from));
  return join(folder, filename);
}

/** Runs a script of an installed package under this Node and resolves with its exit code. */
export function tool(script, args = [], { nodeArgs = [], env = process.env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(
      process.execPath,
      [...nodeArgs, join(root, 'node_modules', script), ...args],
      { cwd: root, stdio: 'inherit', env },
    );
    child.on('error', reject);
    child.on('exit', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}

async function tsc(config, options = []) {
  const code = await tool('typescript/bin/tsc', ['-p', config, ...options]);
  if (code !== 0) process.exit(code);
}

/** The library, twice: ES modules and CommonJS, each with its own declarations. */
export async function buildLibrary() {
  rmSync(join(root, 'dist', 'esm'), { recursive: true, force: true });
  rmSync(join(root, 'dist', 'cjs'), { recursive: true, force: true });
  // The same sources are checked once.
  const asCommonJs = '--module commonjs --moduleResolution bundler --outDir dist/cjs --noCheck';
  await Promise.all([
    tsc('tsconfig.build.esm.json'),
    tsc('tsconfig.build.cjs.json', ['--noCheck']),
    // Apart, so that nothing but the client knows the types of a browser.
    tsc('tsconfig.build.client.json'),
    tsc('tsconfig.build.client.json', asCommonJs.split(' ')),
  ]);
  takeSchematics();
  requireInPlace();
  await bundleClient();
  // Without it Node reads the copy by the root's `"type": "module"`.
  mkdirSync(join(root, 'dist', 'cjs'), { recursive: true });
  writeFileSync(join(root, 'dist', 'cjs', 'package.json'), COMMON_JS);
  makeClientPackage();
}

/** What the Nest CLI asks before it runs them; it requires those in CommonJS. */
function takeSchematics() {
  for (const format of ['esm', 'cjs'])
    for (const name of ['collection.json', 'schema.json'])
      cpSync(join(root, 'src', 'schematics', name), join(root, 'dist', format, 'schematics', name));
}

/**
 * An `import()` becomes a `require` within a function of its own, and bundlers no longer see that it stands in a
 * `try`: for them a package that is not installed would be an error.
 */
function requireInPlace() {
  const folder = join(root, 'dist', 'cjs');
  for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.js')) continue;
    const code = readFileSync(join(folder, name), 'utf8');
    const inPlace = code.replaceAll(
      /await Promise\.resolve\(\)\.then\(\(\) => (__importStar\(require\('[^']+'\)\))\)/g,
      'await $1',
    );
    if (inPlace !== code) writeFileSync(join(folder, name), inPlace);
  }
}

const COMMON_JS = '{ "type": "commonjs" }\n';

/** The client as a package of its own, for front ends: the same files, without Nest beside them. */
export const CLIENT_PACKAGE = join(root, 'dist', 'client-package');

function makeClientPackage() {
  rmSync(CLIENT_PACKAGE, { recursive: true, force: true });
  for (const format of ['esm', 'cjs'])
    cpSync(join(root, 'dist', format, 'client'), join(CLIENT_PACKAGE, format), { recursive: true });
  cpSync(join(root, 'dist', 'browser'), join(CLIENT_PACKAGE, 'browser'), { recursive: true });
  writeFileSync(join(CLIENT_PACKAGE, 'cjs', 'package.json'), COMMON_JS);
  for (const paper of ['LICENSE', 'CHANGELOG.md'])
    cpSync(join(root, paper), join(CLIENT_PACKAGE, paper));
  writeFileSync(join(CLIENT_PACKAGE, 'README.md'), CLIENT_README);
  const { version, license, author, keywords, engines } = JSON.parse(
    readFileSync(join(root, 'package.json'), 'utf8'),
  );
  const files = (format) => ({
    types: `./${format}/index.d.ts`,
    default: `./${format}/index.js`,
  });
  const manifest = {
    name: 'nestjs-idempotency-client',
    version,
    description: 'A fetch that is safe to retry, and forms that are safe to submit twice.',
    keywords: keywords.filter((word) => word !== 'nestjs'),
    license,
    author,
    type: 'module',
    sideEffects: false,
    engines,
    main: './cjs/index.js',
    types: './cjs/index.d.ts',
    exports: {
      '.': { import: files('esm'), require: files('cjs') },
      './browser': { types: './esm/index.d.ts', default: './browser/client.js' },
      './package.json': './package.json',
    },
    files: ['esm', 'cjs', 'browser', 'CHANGELOG.md'],
  };
  writeFileSync(join(CLIENT_PACKAGE, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

const CLIENT_README = `# nestjs-idempotency-client

The client of [nestjs-idempotency](https://www.npmjs.com/package/nestjs-idempotency) alone, for front ends: the same
code as \`nestjs-idempotency/client\`, without dependencies.

\`\`\`js
import { createIdempotentFetch } from 'nestjs-idempotency-client';

const send = createIdempotentFetch();
await send('/orders', { method: 'POST', body, intent: 'checkout' });
\`\`\`

A request is repeated with the same \`Idempotency-Key\` until it is answered: after cut connections, 429, 502, 503, 504,
and 409 with \`Retry-After\`. \`protectForm()\` and \`protectButton()\` do the same for forms and buttons.
`;

/** The client once more as one file, for a page without a bundler; prints what a page pays for it. */
export async function bundleClient() {
  // Not at the top: what is installed may be about to change.
  const { build } = await import('esbuild');
  const outfile = join(root, 'dist', 'browser', 'client.js');
  await build({
    entryPoints: [join(root, 'src', 'client', 'index.ts')],
    outfile,
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  const code = readFileSync(outfile);
  console.log(`client: ${code.length} bytes, ${gzipSync(code).length} gzipped`);
}

/** Compiles a program that imports the built library by its package name. */
async function buildProgram(folder, config) {
  const source = join(root, folder);
  const output = join(root, 'dist', folder);
  rmSync(output, { recursive: true, force: true });
  await tsc(config);
  cpSync(source, output, { recursive: true, filter: (path) => extname(path) !== '.ts' });
}

export const buildSample = () => buildProgram('sample-app', 'tsconfig.sample.json');
export const buildBench = () => buildProgram('bench', 'tsconfig.bench.json');

/** Runs a compiled program in this process: signals and the exit code need no forwarding. */
export async function runCompiled(...segments) {
  const file = join(root, 'dist', ...segments);
  process.setSourceMapsEnabled(true);
  process.argv[1] = file;
  await import(pathToFileURL(file).href);
}
