import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { pack, root, type Packed } from './packed.js';

const EXPECTED = [
  /^package\.json$/,
  /^(README|CHANGELOG)\.md$/,
  /^LICENSE$/,
  /^dist\/cjs\/package\.json$/,
  /^dist\/browser\/client\.js$/,
  /^dist\/(esm|cjs)\/(.+\/)?[^/]+(\.d\.ts|\.js)$/,
];

describe('the tarball', () => {
  let packed: Packed;

  beforeAll(() => {
    packed = pack();
  });
  afterAll(() => packed?.remove());

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
