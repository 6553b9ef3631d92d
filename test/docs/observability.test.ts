import { readFileSync } from 'node:fs';

const page = readFileSync('docs/observability.md', 'utf8');
const instruments = readFileSync('src/opentelemetry/instruments.ts', 'utf8');

/** What the groups of every match hold. */
const groups = (text: string, pattern: RegExp): string[][] =>
  [...text.matchAll(pattern)].map(([, ...found]) => found);

describe('the page on observability', () => {
  it('has every metric with its kind and unit, and no other', () => {
    const documented = groups(page, /^\| `(idempotency\.\S+)`\s*\| (\w+)\s*\| `(\S+)`/gm);
    const made = [
      ...groups(instruments, /counter\(\s*'(\S+)',\s*'(\S+)'/g).map(([name, unit]) => [
        name,
        'counter',
        unit,
      ]),
      ...groups(instruments, /seconds\(\s*'(\S+)'/g).map(([name]) => [name, 'histogram', 's']),
    ];
    expect(made).toHaveLength(9);
    const inOrder = (rows: string[][]): string[] => rows.map((row) => row.join(' ')).toSorted();
    expect(inOrder(documented)).toEqual(inOrder(made as string[][]));
  });

  it('names every attribute, and no other', () => {
    const documented = groups(page, /`(idempotency\.(?:store\.)?[a-z_]+|error\.type)`/g).flat();
    const known = groups(instruments, /: '(\S+\.\S+)'/g).flat();
    expect(known).toHaveLength(9);
    expect(documented).toEqual(expect.arrayContaining(known));
    const metrics = groups(instruments, /'(idempotency\.\S+)'/g).flat();
    const others = documented.filter((name) => ![...known, ...metrics].includes(name));
    expect(others).toEqual([]);
  });
});
