import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

const sample = resolve(import.meta.dirname, '../../sample-app');

/** The files of a folder, with the folder that each of their imports leads to. */
function importsOf(folder: string): { file: string; to: string }[] {
  return readdirSync(join(sample, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => {
      const path = join(sample, folder, name);
      const { importedFiles } = ts.preProcessFile(readFileSync(path, 'utf8'));
      return importedFiles
        .filter(({ fileName }) => fileName.startsWith('.'))
        .map(({ fileName }) => ({
          file: join(folder, name),
          to: relative(sample, resolve(dirname(path), fileName)),
        }));
    });
}

describe('the sample app', () => {
  it('keeps the shop free of what only shows it', () => {
    const imports = importsOf('shop');
    expect(imports.filter(({ to }) => !to.startsWith('shop'))).toEqual([]);
    expect(imports.length).toBeGreaterThan(100);
  });

  it('shows the shop from outside', () => {
    expect(importsOf('show').some(({ to }) => to.startsWith('shop'))).toBe(true);
  });
});
