import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GUARANTEES } from '../../src/testing/contract/contract-case.js';
import * as testing from '../../src/testing/index.js';
import { read, root, tableBelow } from './markdown.js';
import { membersOf } from './source.js';

const PAGE = 'docs/store-contract.md';

function source(path: string): string {
  return readFileSync(join(root, 'src/stores', path), 'utf8');
}

describe('the page on the contract of stores', () => {
  it('has every guarantee in the words of the suite, and the suite a case for each', () => {
    const stated = tableBelow(PAGE, 'Guarantees').map((row) => [row['number'], row['guarantee']]);
    expect(Object.fromEntries(stated)).toEqual(GUARANTEES);
    const proven = new Set(testing.storeContract.map(({ guarantee }) => String(guarantee)));
    expect([...proven].sort()).toEqual(Object.keys(GUARANTEES));
  });

  it('has every verb, and no other', () => {
    const verbs = tableBelow(PAGE, 'Verbs').map(({ verb }) => verb);
    const members = [...membersOf('engine/store.ts', 'IdempotencyStore').keys()];
    expect(verbs).toEqual(members.filter((name) => name !== 'isVolatile'));
  });

  it.each([
    ['PostgreSQL', 'postgres'],
    ['MySQL, MariaDB', 'mysql'],
    ['SQLite', 'sqlite'],
  ])('has the columns of %s', (column, dialect) => {
    const stated = tableBelow(PAGE, 'The table').map((row) => [row['column'], row[column]]);
    const statement = source(`typeorm/sql/${dialect}/create-table.sql`);
    const created = [...statement.matchAll(/^ {2}([a-z_]+) (\w+(?:\(\d+\))?)/gm)];
    expect(stated).toEqual(created.map(([, name, type]) => [name, type]));
  });

  it('has the fields of a key in Redis, in their order', () => {
    const stated = tableBelow(PAGE, 'Keys in Redis').map(({ field }) => field);
    const packed = /^-- One string key[\s\S]*?^--$/m.exec(source('redis/lua/record.lua'))![0];
    expect(stated).toEqual([...packed.matchAll(/^-- {3}(\w+)/gm)].map(([, field]) => field));
  });

  it('names the table and the prefix as the stores do', () => {
    expect(source('typeorm/dialect.ts')).toContain("'idempotency_records'");
    expect(source('redis/redis.store.ts')).toContain("prefix = 'idempotency:'");
    expect(read(PAGE)).toContain('`idempotency_records`');
    expect(read(PAGE)).toContain('`idempotency:<id>`');
  });
});

describe('the page on testing', () => {
  it('has every part of nestjs-idempotency/testing', () => {
    const parts = tableBelow('docs/testing.md', 'Time and faults').map(({ part }) =>
      part!.replace(/\(.*/, ''),
    );
    const ofContract = ['GUARANTEES', 'storeContract'];
    expect([...parts, ...ofContract].sort()).toEqual(Object.keys(testing).sort());
  });
});
