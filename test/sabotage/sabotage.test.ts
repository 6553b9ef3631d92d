import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GUARANTEES } from '../../src/testing/contract/contract-case.js';
import { STORES, STRATEGIES } from './fault.js';
import { FAULTS } from './faults/index.js';

const ROOT = join(import.meta.dirname, '../..');
const SITUATIONS = [...Array.from({ length: 21 }, (_, at) => `S${at + 1}`), 'S3b', 'S10b'];

const isThere = (promised: string): boolean =>
  FAULTS.some(({ breaks }) => breaks.some((one) => one === promised));

describe('the list of faults', () => {
  test.each(FAULTS.map((fault) => [fault.name, fault] as const))(
    'can break the code as it is: %s',
    (_name, { file, find, put, tests }) => {
      const count = readFileSync(join(ROOT, file), 'utf8').split(find).length - 1;
      expect({ file, find, count }).toEqual({ file, find, count: 1 });
      expect(put).not.toBe(find);
      expect(tests).not.toHaveLength(0);
      for (const run of tests) {
        const path = typeof run === 'string' ? run : run[0];
        expect({ path, isThere: existsSync(join(ROOT, path)) }).toEqual({ path, isThere: true });
      }
    },
  );

  test('names each fault once', () => {
    const names = FAULTS.map(({ name }) => name);
    expect(names.filter((name, at) => names.indexOf(name) !== at)).toEqual([]);
  });

  test.each([
    ...Object.keys(GUARANTEES).map((number) => `guarantee ${number}`),
    ...STRATEGIES.map((name) => `strategy ${name}`),
    ...STORES.map((name) => `store ${name}`),
  ])('has one that breaks: %s', (promised) => {
    expect(isThere(promised)).toBe(true);
  });

  test('has one for every situation', () => {
    const promised = SITUATIONS.filter((one) => one !== 'S8').concat('S8a', 'S8b');
    expect(promised.filter((one) => !isThere(one))).toEqual([]);
  });
});
