import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, tableBelow } from './markdown.js';

const PAGE = 'docs/compatibility.md';

interface Manifest {
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly peerDependencies: Readonly<Record<string, string>>;
}

function manifest(...folders: string[]): Manifest {
  return JSON.parse(readFileSync(join(root, ...folders, 'package.json'), 'utf8')) as Manifest;
}

describe('the page on compatibility', () => {
  const rows = tableBelow(PAGE, 'Packages');
  const { engines, peerDependencies } = manifest();

  it('has the range of every peer dependency, and no other', () => {
    const stated = Object.fromEntries(rows.map((row) => [row['package'], row['range']]));
    expect(stated).toEqual(peerDependencies);
  });

  it('has the oldest Node that the package asks for', () => {
    const [node] = tableBelow(PAGE, 'Run time');
    expect(`>=${/^[\d.]+/.exec(node!['range']!)?.[0]}`).toBe(engines.node);
  });

  it.each(rows.map((row) => [row['package']!, row['tested']!] as const))(
    'says that %s is tested in the version that the tests use',
    (name, tested) => {
      const [major, minor] = manifest('node_modules', name).version.split('.');
      const stated = tested === 'as @nestjs/common' ? '12' : tested;
      expect(stated).toMatch(
        new RegExp(`^(?:5 and )?(${major}|${major}\\.${minor})\\b|^${major} `),
      );
    },
  );
});
