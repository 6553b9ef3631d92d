import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { jest } from '@jest/globals';
import ts from 'typescript';
import { pack, type Packed, root, run, unpack } from './packed.js';

jest.setTimeout(180_000);

let packed: Packed;
let project: string;

beforeAll(() => {
  packed = pack();
  project = unpack(packed);
});
afterAll(() => packed?.remove());

const EXPECTED = [
  /^package\.json$/,
  /^(README|CHANGELOG)\.md$/,
  /^LICENSE$/,
  /^migrations\/(postgres|mysql|sqlite)([.](limits|story))?[.]sql$/,
  /^migrations\/(drizzle[.](postgres|mysql)[.]ts|prisma[.](postgres|mysql)[.]prisma|knex[.]ts)$/,
  /^dist\/cjs\/package\.json$/,
  /^dist\/browser\/client\.js$/,
  /^dist\/(esm|cjs)\/schematics\/(collection|schema)\.json$/,
  /^dist\/(esm|cjs)\/(.+\/)?[^/]+(\.d\.ts|\.js)$/,
];

describe('the tarball', () => {
  it('holds the library and its papers, and nothing else', () => {
    const unexpected = packed.files.filter(
      (path) => !EXPECTED.some((pattern) => pattern.test(path)) || /[.](spec|test)[.]/.test(path),
    );
    expect(unexpected).toEqual([]);
  });

  it.each([
    'package.json',
    'README.md',
    'CHANGELOG.md',
    'LICENSE',
    'dist/cjs/package.json',
    'dist/browser/client.js',
    'migrations/postgres.sql',
    'migrations/mysql.limits.sql',
  ])('holds %s', (path) => {
    expect(packed.files).toContain(path);
  });

  it('holds every target of the exports map', () => {
    const { exports, main, types } = JSON.parse(
      readFileSync(join(root, 'package.json'), 'utf8'),
    ) as { exports: Record<string, unknown>; main: string; types: string };
    const targets = (node: unknown): string[] =>
      typeof node === 'string' ? [node] : Object.values(node as object).flatMap(targets);
    const missing = [main, types, ...targets(exports)]
      .map((target) => target.replace('./', ''))
      .filter((path) => !packed.files.includes(path));
    expect(missing).toEqual([]);
  });

  it('holds the client as one file that imports nothing, of the size that is stated', () => {
    const code = readFileSync(join(root, 'dist/browser/client.js'));
    expect(code.toString()).not.toMatch(/\bimport\b|\brequire\b/);
    const kilobytes = Math.round(gzipSync(code).length / 1000);
    expect(readFileSync(join(root, 'docs/client.md'), 'utf8')).toContain(`${kilobytes} kB gzipped`);
  });

  it('holds the same modules as ES modules and as CommonJS', () => {
    const modules = (format: string) =>
      packed.files
        .filter((path) => path.startsWith(`dist/${format}/`) && !path.endsWith('/package.json'))
        .map((path) => path.slice(`dist/${format}/`.length));
    expect(modules('cjs')).toEqual(modules('esm'));
    expect(modules('esm')).toContain('index.js');
  });
});

it('has a program that starts without drivers', () => {
  const library = join(project, 'node_modules', 'nestjs-idempotency');
  const { bin } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  const program = join(library, bin['nestjs-idempotency']!);
  expect(readFileSync(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  const env = { ...process.env, NODE_OPTIONS: '' };
  const printed = (...args: string[]) =>
    run(process.execPath, [program, ...args], { cwd: project, env });
  expect(printed('--help')).toMatch(/^Usage: nestjs-idempotency <command>/);
  expect(printed('sql', '--dialect', 'sqlite')).toContain('CREATE TABLE');
});

const ENTRIES = [
  'nestjs-idempotency',
  'nestjs-idempotency/contracts',
  'nestjs-idempotency/client',
  'nestjs-idempotency/testing',
];
const DRIVERS = [
  'typeorm',
  'ioredis',
  'redis',
  'pg',
  'mysql2',
  'bullmq',
  '@nestjs/swagger',
  '@nestjs/terminus',
  '@opentelemetry/api',
];

/** Preloaded by every child: the drivers are absent, whatever folders above may hold. */
const WITHOUT_DRIVERS = `
  const Module = require('node:module');
  const drivers = ${JSON.stringify(DRIVERS)};
  const absent = (name) => drivers.some((driver) => name === driver || name.startsWith(driver + '/'));
  const refuse = (name, code) => {
    throw Object.assign(new Error('Cannot find package ' + name), { code });
  };
  const resolveFilename = Module._resolveFilename;
  Module._resolveFilename = function (name, ...rest) {
    if (absent(name)) refuse(name, 'MODULE_NOT_FOUND');
    return resolveFilename.call(this, name, ...rest);
  };
  Module.register('data:text/javascript,' + encodeURIComponent(\`
    const drivers = \${JSON.stringify(drivers)};
    const absent = \${absent};
    const refuse = \${refuse};
    export const resolve = (name, context, next) =>
      absent(name) ? refuse(name, 'ERR_MODULE_NOT_FOUND') : next(name, context);
  \`));
`;

describe('the entry points', () => {
  beforeAll(() => writeFileSync(join(project, 'without-drivers.cjs'), WITHOUT_DRIVERS));

  const evaluate = (format: 'module' | 'commonjs', code: string): unknown =>
    JSON.parse(
      run(
        process.execPath,
        ['--require', './without-drivers.cjs', `--input-type=${format}`, '--eval', code],
        {
          cwd: project,
          // What this run of Jest needs must not reach the child.
          env: { ...process.env, NODE_OPTIONS: '' },
        },
      ),
    );

  it('are loaded below in a process without drivers', () => {
    const code = `
      const required = (name) => {
        try { require(name); return 'found'; } catch (error) { return error.code; }
      };
      const imported = (name) => import(name).then(() => 'found', (error) => error.code);
      const found = async (name) => [name, [required(name), await imported(name)]];
      Promise.all(${JSON.stringify(DRIVERS)}.map(found))
        .then((all) => console.log(JSON.stringify(Object.fromEntries(all))));`;
    const absent = ['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND'];
    expect(evaluate('commonjs', code)).toEqual(
      Object.fromEntries(DRIVERS.map((driver) => [driver, absent])),
    );
  });

  it.each(ENTRIES)('load with import: %s', (entry) => {
    const names = evaluate(
      'module',
      `import * as entry from ${JSON.stringify(entry)};
       console.log(JSON.stringify(Object.keys(entry)));`,
    );
    expect(names).not.toEqual([]);
  });

  it.each(ENTRIES)('export the same names to require as to import: %s', (entry) => {
    const [imported, required] = evaluate(
      'module',
      `import { createRequire } from 'node:module';
       const names = (entry) => Object.keys(entry).filter((name) => name !== 'default').sort();
       const imported = await import(${JSON.stringify(entry)});
       const required = createRequire(process.cwd() + '/x.js')(${JSON.stringify(entry)});
       console.log(JSON.stringify([names(imported), names(required)]));`,
    ) as [string[], string[]];
    expect(required).not.toEqual([]);
    expect(required).toEqual(imported);
  });

  it('give the CommonJS copy to require, not the ES module', () => {
    const resolved = evaluate(
      'commonjs',
      `console.log(JSON.stringify(${JSON.stringify(ENTRIES)}.map((entry) => require.resolve(entry))));`,
    ) as string[];
    for (const path of resolved) expect(path).toMatch(/[\\/]dist[\\/]cjs[\\/]/);
  });

  it('export what the documentation starts with', () => {
    const names = evaluate(
      'commonjs',
      `console.log(JSON.stringify(Object.keys(require('nestjs-idempotency'))));`,
    );
    expect(names).toEqual(
      expect.arrayContaining([
        'IdempotencyModule',
        'Idempotent',
        'isIdempotencyError',
        'MemoryStore',
      ]),
    );
  });

  it('agree on every symbol, though the two copies are loaded side by side', () => {
    const different = evaluate(
      'module',
      `import { createRequire } from 'node:module';
       const require = createRequire(process.cwd() + '/x.js');
       const [root, contracts] = ['nestjs-idempotency', 'nestjs-idempotency/contracts'];
       const imported = { ...(await import(root)), ...(await import(contracts)) };
       const required = { ...require(root), ...require(contracts) };
       const differ = Object.keys(imported).filter((name) =>
         typeof imported[name] === 'symbol' && imported[name] !== required[name]);
       const same = Object.keys(imported).filter((name) =>
         typeof imported[name] === 'function' && imported[name] === required[name]);
       console.log(JSON.stringify({ differ, same }));`,
    );
    // `same` is empty while the copies are two: the test would otherwise compare one with itself.
    expect(different).toEqual({ differ: [], same: [] });
  });

  it('tell errors of this library, whichever copy made them', () => {
    const told = evaluate(
      'module',
      `import { createRequire } from 'node:module';
       const imported = await import('nestjs-idempotency');
       const required = createRequire(process.cwd() + '/x.js')('nestjs-idempotency');
       const code = 'IDEMPOTENCY_KEY_REQUIRED';
       console.log(JSON.stringify([
         imported.isIdempotencyError(new required.IdempotencyException(code)),
         required.isIdempotencyError(new imported.IdempotencyException(code)),
         imported.isIdempotencyError(new Error(code)),
       ]));`,
    );
    expect(told).toEqual([true, true, false]);
  });

  it('know the source of If-Match, whichever copy made it', () => {
    const known = evaluate(
      'module',
      `import { createRequire } from 'node:module';
       import { pathToFileURL } from 'node:url';
       const imported = await import('nestjs-idempotency');
       const required = createRequire(process.cwd() + '/x.js')('nestjs-idempotency');
       const { isIfMatch } = await import(
         pathToFileURL('node_modules/nestjs-idempotency/dist/esm/keys/if-match.js').href);
       console.log(JSON.stringify(
         [required.ifMatch(), imported.ifMatch(), required.header('If-Match')].map(isIfMatch)));`,
    );
    expect(known).toEqual([true, true, false]);
  });

  it('carry the same brands in both copies', () => {
    const dist = join(project, 'node_modules', 'nestjs-idempotency', 'dist');
    const brands = (format: string) =>
      readdirSync(join(dist, format), { recursive: true, encoding: 'utf8' })
        .filter((path) => path.endsWith('.js'))
        .flatMap((path) =>
          readFileSync(join(dist, format, path), 'utf8').match(/Symbol\.for\([^)]*\)/g),
        )
        .filter((call) => call !== null)
        .sort();
    expect(brands('esm')).not.toEqual([]);
    expect(brands('cjs')).toEqual(brands('esm'));
    const others = brands('esm').filter((call) => !call.includes('nestjs-idempotency:'));
    // Those of other packages, and those of values that a replay gives back.
    expect(others).toEqual(["Symbol.for('SQS_CONSUMER_METHOD')", 'Symbol.for(name)']);
  });
});

const DECLARATIONS = [
  'index.d.ts',
  'contracts/index.d.ts',
  'client/index.d.ts',
  'stores/sql/index.d.ts',
  'swagger/index.d.ts',
  'testing/index.d.ts',
];

describe('a bundle', () => {
  /** What an application without any optional package starts with, apart from Nest itself. */
  const NAMES = '{ IdempotencyModule, IdempotencyService, MemoryStore }';
  const LOADED = {
    esm: `
      import 'reflect-metadata';
      import { NestFactory } from '@nestjs/core';
      import ${NAMES} from 'nestjs-idempotency';`,
    cjs: `
      require('reflect-metadata');
      const { NestFactory } = require('@nestjs/core');
      const ${NAMES} = require('nestjs-idempotency');`,
  };
  const START = `
    class App {}
    const store = new MemoryStore();
    const root = { module: App, imports: [IdempotencyModule.forRoot({ store })] };
    NestFactory.createApplicationContext(root, { logger: ['error'] }).then(async (app) => {
      const run = () => app.get(IdempotencyService).run({ scope: 's', key: 'k' }, () => Math.random());
      console.log(JSON.stringify((await run()) === (await run())));
      await app.close();
    });`;

  it.each<['esm' | 'cjs', boolean]>([
    ['esm', false],
    ['cjs', true],
  ])(
    'starts without the packages that are not installed: %s, minified: %s',
    async (format, minify) => {
      const outfile = join(project, `bundle.${format === 'esm' ? 'mjs' : 'cjs'}`);
      const { warnings } = await build({
        stdin: { contents: LOADED[format] + START, resolveDir: project },
        bundle: true,
        outfile,
        format,
        minify,
        platform: 'node',
        // Only those that are there, so that everything else has to be found.
        external: ['@nestjs/common', '@nestjs/core', 'reflect-metadata', 'rxjs'],
        logLevel: 'silent',
      });
      expect(warnings).toEqual([]);
      const printed = run(process.execPath, [outfile], {
        cwd: project,
        env: { ...process.env, NODE_OPTIONS: '', NODE_ENV: 'test' },
      });
      expect(JSON.parse(printed)).toBe(true);
    },
  );
});

describe('the declarations', () => {
  let library: string;
  let program: ts.Program;

  beforeAll(() => {
    library = join(project, 'node_modules', 'nestjs-idempotency');
    const files = DECLARATIONS.flatMap((entry) => [
      join(library, 'dist/esm', entry),
      join(library, 'dist/cjs', entry),
    ]);
    program = ts.createProgram(files, {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
    });
  });

  const exportsOf = (entry: string) => {
    const file = join(library, entry);
    const checker = program.getTypeChecker();
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    return checker.getExportsOfModule(module).map((symbol) => {
      const target =
        symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return {
        name: symbol.getName(),
        documentation: ts.displayPartsToString(target.getDocumentationComment(checker)),
      };
    });
  };

  it.each(DECLARATIONS)('document every export of %s', (entry) => {
    const symbols = exportsOf(`dist/esm/${entry}`);
    const silent = symbols.filter(({ documentation }) => documentation === '');
    expect(silent.map(({ name }) => name)).toEqual([]);
    expect(symbols.length).toBeGreaterThan(0);
  });

  it.each(DECLARATIONS)('are the same as ES module and as CommonJS: %s', (entry) => {
    expect(exportsOf(`dist/cjs/${entry}`)).toEqual(exportsOf(`dist/esm/${entry}`));
  });

  it('hold nothing that is marked as internal', () => {
    const files = readdirSync(join(library, 'dist'), { recursive: true, encoding: 'utf8' }).filter(
      (path) => path.endsWith('.d.ts'),
    );
    const internal = files.filter((path) =>
      readFileSync(join(library, 'dist', path), 'utf8').includes('@internal'),
    );
    expect(files.length).toBeGreaterThan(0);
    expect(internal).toEqual([]);
  });

  it('are found by whatever resolves as Node 10 did', () => {
    const { exports } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8')) as {
      exports: Record<string, unknown>;
    };
    const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
    for (const entry of entries) {
      const found = ts.resolveModuleName(
        entry.replace('.', 'nestjs-idempotency'),
        join(project, 'main.ts'),
        { moduleResolution: ts.ModuleResolutionKind.Node10 },
        ts.sys,
      ).resolvedModule;
      expect([entry, found?.resolvedFileName]).toEqual([
        entry,
        expect.stringMatching(/[\\/]dist[\\/]cjs[\\/].*index\.d\.ts$/),
      ]);
    }
  });
});
