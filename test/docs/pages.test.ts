import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as frontDoor from '../../src/index.js';
import { GUARANTEES } from '../../src/testing/contract/contract-case.js';
import * as sql from '../../src/stores/sql/index.js';
import * as testing from '../../src/testing/index.js';
import { RUN_TIMES } from '../runtimes/rows.js';
import { codeNames, read, root, tableBelow } from './markdown.js';
import { membersOf } from './source.js';

const STRATEGIES_PAGE = 'docs/choosing-a-strategy.md';

/** Every situation that this software serves, by its number. */
const SITUATIONS =
  'S1 S2 S3 S3b S4 S5 S6 S7 S8a S8b S9 S10 S10b S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21'.split(
    ' ',
  );

describe('the situations on the page that chooses a strategy', () => {
  const rows = tableBelow(STRATEGIES_PAGE, 'Situations');

  it('are all there, once and in their order', () => {
    expect(rows.map(({ id }) => id)).toEqual(SITUATIONS);
  });

  it('name strategies that exist, and all of them', () => {
    const strategies = [
      ...membersOf('options/idempotency.options.ts', 'IdempotencyStrategies').keys(),
    ];
    const named = codeNames(STRATEGIES_PAGE, 'Situations', 'strategy');
    expect([...new Set(named)].sort()).toEqual(
      [...strategies.map((name) => name.replaceAll("'", '')), 'insertOrGet()'].sort(),
    );
  });

  it('name options that exist', () => {
    const own = ['TokenStrategyOptions', 'VersionOptions', 'StateOptions', 'QueueStrategyOptions'];
    const options = new Set([
      ...membersOf('options/idempotency.options.ts', 'IdempotentOptions').keys(),
      ...own.flatMap((name) => [...membersOf('options/strategy-options.ts', name).keys()]),
    ]);
    const named = codeNames(STRATEGIES_PAGE, 'Situations', 'options');
    expect(named.filter((name) => !options.has(name))).toEqual([]);
    expect(named).toContain('transaction');
  });

  it('name sources of keys that exist', () => {
    const named = codeNames(STRATEGIES_PAGE, 'Situations', 'key').flatMap(
      (code) => code.match(/\w+(?=\()/g) ?? [],
    );
    expect(named.filter((name) => !(name in frontDoor))).toEqual([]);
    expect(named).toContain('header');
  });

  it('name codes that exist', () => {
    const codes = readFileSync(join(root, 'src/engine/refusals.ts'), 'utf8');
    const named = rows.flatMap((row) => row['a retry gets']!.match(/IDEMPOTENCY_\w+/g) ?? []);
    expect(named.filter((code) => !codes.includes(code))).toEqual([]);
    expect(named).not.toEqual([]);
  });
});

const CONTRACT_PAGE = 'docs/store-contract.md';

function storeSource(path: string): string {
  return readFileSync(join(root, 'src/stores', path), 'utf8');
}

describe('the page on the contract of stores', () => {
  it('has every guarantee in the words of the suite, and the suite a case for each', () => {
    const stated = tableBelow(CONTRACT_PAGE, 'Guarantees').map((row) => [
      row['number'],
      row['guarantee'],
    ]);
    expect(Object.fromEntries(stated)).toEqual(GUARANTEES);
    const proven = new Set(testing.storeContract.map(({ guarantee }) => String(guarantee)));
    expect([...proven].sort()).toEqual(Object.keys(GUARANTEES).sort());
  });

  it('is followed by the one of lock services', () => {
    const stated = tableBelow('docs/locks.md', 'Guarantees').map((row) => [
      row['number'],
      row['guarantee'],
    ]);
    expect(Object.fromEntries(stated)).toEqual(testing.LOCK_GUARANTEES);
  });

  it('has every verb, and no other', () => {
    const verbs = tableBelow(CONTRACT_PAGE, 'Verbs').map(({ verb }) => verb);
    const members = [...membersOf('engine/store.ts', 'IdempotencyStore').keys()];
    expect(verbs).toEqual(members.filter((name) => name !== 'isVolatile'));
  });

  it.each([
    ['PostgreSQL', 'postgres'],
    ['MySQL, MariaDB', 'mysql'],
    ['SQLite', 'sqlite'],
  ])('has the columns of %s', (column, dialect) => {
    const stated = tableBelow(CONTRACT_PAGE, 'The table').map((row) => [
      row['column'],
      row[column],
    ]);
    const statement = storeSource(`sql/statements/${dialect}/create-table.sql`);
    const created = [...statement.matchAll(/^ {2}([a-z_]+) (\w+(?:\(\d+\))?)/gm)];
    expect(stated).toEqual(created.map(([, name, type]) => [name, type]));
  });

  it('has the fields of a key in Redis, in their order', () => {
    const stated = tableBelow(CONTRACT_PAGE, 'Keys in Redis').map(({ field }) => field);
    const packed = /^-- One string key[\s\S]*?^--$/m.exec(storeSource('redis/lua/record.lua'))![0];
    expect(stated).toEqual([...packed.matchAll(/^-- {3}(\w+)/gm)].map(([, field]) => field));
  });

  it('names the table and the prefix as the stores do', () => {
    expect(storeSource('sql/dialect.ts')).toContain("'idempotency_records'");
    expect(storeSource('redis/redis.store.ts')).toContain("prefix = 'idempotency:'");
    expect(read(CONTRACT_PAGE)).toContain('`idempotency_records`');
    expect(read(CONTRACT_PAGE)).toContain('`idempotency:<id>`');
  });
});

describe('the page on SQL', () => {
  it('has every guarantee of transactions in the words of the suite, and the suite a case for each', () => {
    const stated = tableBelow('docs/sql.md', 'Guarantees of transactions').map((row) => [
      row['number'],
      row['guarantee'],
    ]);
    expect(Object.fromEntries(stated)).toEqual(testing.TRANSACTION_GUARANTEES);
    const proven = new Set(testing.transactionContract.map(({ guarantee }) => String(guarantee)));
    expect([...proven].sort()).toEqual(Object.keys(testing.TRANSACTION_GUARANTEES));
  });

  it('has every executor, and each only once', () => {
    const named = [...read('docs/sql.md').matchAll(/^\|[^|]*\| `(from\w+)\(\)`/gm)];
    const exported = Object.keys(sql).filter((name) => name.startsWith('from'));
    expect(new Set(named.map(([, name]) => name))).toEqual(new Set(exported));
    expect(named).toHaveLength(exported.length);
  });
});

describe('the page on testing', () => {
  it('has every part of nestjs-idempotency/testing', () => {
    const parts = tableBelow('docs/testing.md', 'Time and faults').map(({ part }) =>
      part!.replace(/\(.*/, ''),
    );
    const ofContract = [
      'GUARANTEES',
      'storeContract',
      'TRANSACTION_GUARANTEES',
      'transactionContract',
      'LOCK_GUARANTEES',
      'lockContract',
    ];
    expect([...parts, ...ofContract].sort()).toEqual(Object.keys(testing).sort());
  });
});

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
    expect(made).toHaveLength(12);
    const inOrder = (rows: string[][]): string[] => rows.map((row) => row.join(' ')).toSorted();
    expect(inOrder(documented)).toEqual(inOrder(made as string[][]));
  });

  it('names every attribute, and no other', () => {
    const documented = groups(page, /`(idempotency\.(?:store\.)?[a-z_]+|error\.type)`/g).flat();
    const known = groups(instruments, /: '(\S+\.\S+)'/g).flat();
    expect(known).toHaveLength(10);
    expect(documented).toEqual(expect.arrayContaining(known));
    const metrics = groups(instruments, /'(idempotency\.\S+)'/g).flat();
    const others = documented.filter((name) => ![...known, ...metrics].includes(name));
    expect(others).toEqual([]);
  });
});

const COMPATIBILITY_PAGE = 'docs/compatibility.md';

interface Manifest {
  readonly version: string;
  readonly engines: { readonly node: string };
  readonly peerDependencies: Readonly<Record<string, string>>;
}

function manifest(...folders: string[]): Manifest {
  return JSON.parse(readFileSync(join(root, ...folders, 'package.json'), 'utf8')) as Manifest;
}

describe('the page on compatibility', () => {
  const rows = tableBelow(COMPATIBILITY_PAGE, 'Packages');
  const { engines, peerDependencies } = manifest();

  it('has the range of every peer dependency, and no other', () => {
    const stated = Object.fromEntries(rows.map((row) => [row['package'], row['range']]));
    expect(stated).toEqual(peerDependencies);
  });

  it('has the oldest Node that the package asks for', () => {
    const [node] = tableBelow(COMPATIBILITY_PAGE, 'Run time');
    expect(`>=${/^[\d.]+/.exec(node!['range']!)?.[0]}`).toBe(engines.node);
  });

  it('names each run time that is tried, and no other', () => {
    const stated = tableBelow(COMPATIBILITY_PAGE, 'Run time').flatMap((row) => {
      const versions =
        /smoke table\S* on ([\d., ]+\d)/.exec(row['tested']!)?.[1]?.split(', ') ?? [];
      return versions.map((version) => `${row['run time']} ${version}`);
    });
    expect(stated).toEqual(RUN_TIMES.map((name) => name.replace(/\.\d+$/, '')));
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
