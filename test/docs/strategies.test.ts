import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as keys from '../../src/keys/index.js';
import { codeNames, root, tableBelow } from './markdown.js';
import { membersOf } from './source.js';

const PAGE = 'docs/choosing-a-strategy.md';

/** Every situation that this software serves, by its number. */
const SITUATIONS =
  'S1 S2 S3 S3b S4 S5 S6 S7 S8a S8b S9 S10 S10b S11 S12 S13 S14 S15 S16 S17 S18 S19 S20 S21'.split(
    ' ',
  );

describe('the situations on the page that chooses a strategy', () => {
  const rows = tableBelow(PAGE, 'Situations');

  it('are all there, once and in their order', () => {
    expect(rows.map(({ id }) => id)).toEqual(SITUATIONS);
  });

  it('name strategies that exist, and all of them', () => {
    const strategies = [
      ...membersOf('options/idempotency.options.ts', 'IdempotencyStrategies').keys(),
    ];
    const named = codeNames(PAGE, 'Situations', 'strategy');
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
    const named = codeNames(PAGE, 'Situations', 'options');
    expect(named.filter((name) => !options.has(name))).toEqual([]);
    expect(named).toContain('transaction');
  });

  it('name sources of keys that exist', () => {
    const named = codeNames(PAGE, 'Situations', 'key').flatMap(
      (code) => code.match(/\w+(?=\()/g) ?? [],
    );
    expect(named.filter((name) => !(name in keys))).toEqual([]);
    expect(named).toContain('header');
  });

  it('name codes that exist', () => {
    const codes = readFileSync(join(root, 'src/engine/refusals.ts'), 'utf8');
    const named = rows.flatMap((row) => row['a retry gets']!.match(/IDEMPOTENCY_\w+/g) ?? []);
    expect(named.filter((code) => !codes.includes(code))).toEqual([]);
    expect(named).not.toEqual([]);
  });
});
