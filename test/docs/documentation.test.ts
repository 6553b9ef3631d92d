import { createRequire } from 'node:module';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join, posix, relative, resolve, sep } from 'node:path';
import ts from 'typescript';
import { documents, read, root, tableBelow } from './markdown.js';

const { sitePages } = (await import(
  String(new URL('../../scripts/docs/pages.mjs', import.meta.url))
)) as { sitePages: () => Map<string, string> };

interface Floors {
  readonly FLOORS: readonly (readonly string[])[];
}

describe('the map of the source', () => {
  const rows = tableBelow('src/README.md', 'The path of a call');
  const source = join(root, 'src');

  /** The folders of `src` that files of one import, and whether Nest or rxjs is among it. */
  function imports(folder: string): { folders: Set<string>; nest: boolean } {
    const folders = new Set<string>();
    let nest = false;
    for (const name of readdirSync(join(source, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.endsWith('.spec.ts')) continue;
      const file = join(source, folder, name);
      for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles) {
        if (/^(@nestjs\/|rxjs)/.test(fileName)) nest = true;
        if (!fileName.startsWith('.')) continue;
        const [first, ...rest] = relative(source, resolve(dirname(file), fileName)).split(sep);
        if (first !== folder) folders.add(rest.length === 0 ? 'root files' : first!);
      }
    }
    return { folders, nest };
  }

  it('has a row for every folder, and no other', () => {
    const folders = readdirSync(source, { withFileTypes: true }).filter((it) => it.isDirectory());
    expect(rows.map(({ folder }) => folder!).sort()).toEqual(
      folders.map(({ name }) => name).sort(),
    );
  });

  it('has them in the order of their floors', () => {
    const floors = (createRequire(import.meta.url)('../../scripts/floors.cjs') as Floors).FLOORS;
    const floorOf = (folder: string): number =>
      floors.findLastIndex((floor) =>
        floor.some((one) => one === folder || one.startsWith(`${folder}/`)),
      );
    const given = rows.map(({ folder }) => floorOf(folder!));
    expect(given).not.toContain(-1);
    expect(given).toEqual(given.toSorted((one, other) => one - other));
  });

  it.each(rows.map((row) => [row['folder']!, row] as const))(
    'knows what %s imports',
    (folder, row) => {
      const { folders, nest } = imports(folder);
      const allowed = row['may import'] === '' ? [] : row['may import']!.split(', ');
      expect([...folders].sort()).toEqual(allowed.sort());
      expect(nest ? 'yes' : 'no').toBe(row['Nest']);
    },
  );
});

/** Words that no reader knows before the glossary has said what they mean here. */
const TECHNICAL_WORDS = [
  /claim(?:s|ed)?/,
  /owners?/,
  /leases?/,
  /fencing tokens?/,
  /tombstones?/,
  /held/,
];

/** More than that is a paragraph: it belongs below the table. */
const MOST_WORDS_IN_A_CELL = 22;

describe('the documents', () => {
  it('link to files and headings that exist', () => {
    const broken: string[] = [];
    for (const document of [...documents(), 'src/README.md', 'sample-app/README.md']) {
      for (const [, target] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        const [file, heading] = target!.split('#');
        const path = file === '' ? document : join(dirname(document), file!);
        if (!existsSync(join(root, path))) broken.push(`${document}: ${target}`);
        else if (heading !== undefined && !headings(path).includes(heading))
          broken.push(`${document}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  it('link to pages that the site has', () => {
    const pages = sitePages();
    const dead: string[] = [];
    for (const [page, text] of pages)
      for (const [, target] of withoutCode(text).matchAll(/(?<!!)\[[^\]]*\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:|^#/.test(target!)) continue;
        const path = posix.join(posix.dirname(page), target!.split('#')[0]!);
        if (!pages.has(path)) dead.push(`${page}: ${target}`);
      }
    expect(dead).toEqual([]);
    expect([...pages.keys()]).toEqual(expect.arrayContaining(['index.md', 'docs/index.md']));
    expect(pages.get('index.md')).toContain('](docs/index.md)');
    expect(pages.get('index.md')).not.toContain('](LICENSE)');
  });

  it('link a technical word to the glossary where it first stands', () => {
    const unlinked = [...documents(), 'sample-app/README.md']
      .filter((document) => basename(document) !== 'glossary.md')
      .flatMap((document) =>
        TECHNICAL_WORDS.filter((word) => isUnlinked(word, prose(document))).map(
          (word) => `${document}: ${word.source}`,
        ),
      );
    expect(unlinked).toEqual([]);
    expect(isUnlinked(/leases?/i, 'its lease, or [lease](glossary.md)')).toBe(true);
  });

  it('keep what stands in a cell of a table short', () => {
    const long = [...documents(), 'src/README.md', 'sample-app/README.md'].flatMap((document) =>
      cells(document)
        .filter((cell) => words(cell) > MOST_WORDS_IN_A_CELL)
        .map((cell) => `${document}: ${cell}`),
    );
    expect(long).toEqual([]);
    expect(words('a `b c` [d](e.md) f')).toBe(5);
  });

  it('are all in the index', () => {
    const index = read('docs/README.md');
    const pages = documents().filter((name) => /^docs.[^/\\]+\.md$/.test(name));
    const missing = pages.filter((page) => !index.includes(`](${basename(page)}`));
    expect(missing).toEqual([join('docs', 'README.md')]);
  });

  /** What is read as sentences: without code, headings and the texts of other links. */
  function prose(document: string): string {
    return withoutCode(read(document))
      .replaceAll(/^#+ .*$/gm, '')
      .replaceAll(/`[^`\n]+`/g, '')
      .replaceAll(/\[[^\][]*\]\((?!\S*glossary\.md)[^)]*\)/g, '');
  }

  function withoutCode(text: string): string {
    return text.replaceAll(/^ *```.*?^ *```$/gms, '');
  }

  function cells(document: string): string[] {
    const rows = withoutCode(read(document))
      .split('\n')
      .filter((line) => line.startsWith('|'));
    return rows.flatMap((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim()));
  }

  function words(cell: string): number {
    return cell.split(/\s+/).filter((word) => word !== '').length;
  }

  function isUnlinked(word: RegExp, text: string): boolean {
    const first = new RegExp(`(?<![\\w-])(?:${word.source})(?![\\w-])`, 'i').exec(text);
    if (first === null) return false;
    return !/^\]\(\S*glossary\.md\)/.test(text.slice(first.index + first[0].length));
  }

  /** As they are linked to on GitHub. */
  function headings(document: string): string[] {
    return [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
      text!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );
  }
});
