import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pack, run, unpack, type Packed } from './packed.js';

const ENTRIES = ['nestjs-idempotency', 'nestjs-idempotency/client', 'nestjs-idempotency/testing'];
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
  let packed: Packed;
  let project: string;

  beforeAll(() => {
    packed = pack();
    project = unpack(packed);
    writeFileSync(join(project, 'without-drivers.cjs'), WITHOUT_DRIVERS);
  });
  afterAll(() => packed?.remove());

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

  it.each(DRIVERS)('are loaded below in a process without %s', (driver) => {
    const code = `
      let required = 'found';
      try { require(${JSON.stringify(driver)}); } catch (error) { required = error.code; }
      import(${JSON.stringify(driver)}).then(() => 'found', (error) => error.code)
        .then((imported) => console.log(JSON.stringify([required, imported])));`;
    expect(evaluate('commonjs', code)).toEqual(['MODULE_NOT_FOUND', 'ERR_MODULE_NOT_FOUND']);
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
       const imported = await import('nestjs-idempotency');
       const required = createRequire(process.cwd() + '/x.js')('nestjs-idempotency');
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
    expect(brands('esm').filter((call) => !call.includes('nestjs-idempotency:'))).toEqual([]);
  });
});
