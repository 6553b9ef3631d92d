import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const script = (name: string): string =>
  JSON.stringify(pathToFileURL(join(import.meta.dirname, '../../scripts', name)));

/** Runs code beside the exports of the scripts, and answers what it prints. */
function evaluate(code: string): unknown {
  const program = `
    import { readFileSync } from 'node:fs';
    import { Copy } from ${script('sabotage-copy.mjs')};
    import { verdictOf } from ${script('sabotage-tests.mjs')};
    console.log(JSON.stringify(${code}));`;
  return JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '-e', program]).toString(),
  );
}

interface Ended {
  readonly fullName?: string;
  readonly status: 'passed' | 'failed' | 'crashed';
  readonly failureMessages: readonly string[];
}

const passed: Ended = { fullName: 'a', status: 'passed', failureMessages: [] };
const failed = (message: string): Ended => ({
  fullName: 'b',
  status: 'failed',
  failureMessages: [message],
});

describe('what tests say of a fault', () => {
  const verdict = (...tests: Ended[]): unknown =>
    evaluate(`verdictOf(${JSON.stringify(tests)}).verdict`);

  it.each<[string, string, Ended[]]>([
    ['survived', 'all pass', [passed, passed]],
    ['killed', 'one fails', [passed, failed('Error: expect(received).toBe(expected)')]],
    ['unusable', 'none has run', []],
    ['unusable', 'a file cannot be loaded', [{ status: 'crashed', failureMessages: ['x'] }]],
    ['unusable', 'names are missing', [failed('ReferenceError: lease is not defined')]],
    [
      'unusable',
      'a script is none',
      [failed('ReplyError: ERR Error compiling script (new function)')],
    ],
    ['unusable', 'nothing begins', [failed('Exceeded timeout of 30000 ms for a hook.')]],
    ['unusable', 'a statement is none', [failed('error: syntax error at or near "AND"')]],
    [
      'killed',
      'one of several fails for what it is about',
      [failed('ReferenceError: x is not defined'), failed('AssertionError: 1 !== 2')],
    ],
  ])('%s: %s', (expected, _why, tests) => {
    expect(verdict(...tests)).toBe(expected);
  });
});

describe('a copy of a project', () => {
  let project: string;

  beforeEach(() => {
    project = mkdtempSync(join(tmpdir(), 'sabotage-test-'));
    execFileSync('git', ['init', '--quiet'], { cwd: project });
    mkdirSync(join(project, 'node_modules'));
    writeFileSync(join(project, '.gitignore'), 'node_modules/\n');
    const more =
      'export const ttl = 1;\nexport class Lease { constructor(@Inject(A) readonly ms: number) {} }';
    writeFileSync(join(project, 'lease.ts'), `export const lease = 1;\n${more}\n`);
  });

  afterEach(() => {
    rmSync(project, { recursive: true, force: true });
  });

  /** What the file of the copy has before, while it is broken, and afterwards; or why it cannot be. */
  const breaking = (find: string, put: string): unknown =>
    evaluate(`await (async () => {
      const copy = Copy.make(${JSON.stringify(project)});
      const read = () => readFileSync(copy.folder + '/lease.ts', 'utf8').split('\\n')[0];
      const seen = [read()];
      try {
        const fault = { file: 'lease.ts', find: ${JSON.stringify(find)}, put: ${JSON.stringify(put)} };
        await copy.with(fault, async () => seen.push(read()));
      } catch (error) {
        seen.push(error.name);
      }
      seen.push(read());
      copy.remove();
      return seen;
    })()`);

  const WHOLE = 'export const lease = 1;';

  it('is broken while a fault is tried, and the project never', () => {
    expect(breaking('lease = 1', 'lease = $&')).toEqual([WHOLE, 'UnusableFaultError', WHOLE]);
    expect(breaking('lease = 1', 'lease = 2')).toEqual([WHOLE, 'export const lease = 2;', WHOLE]);
    expect(readFileSync(join(project, 'lease.ts'), 'utf8')).toContain(WHOLE);
  });

  it.each([
    ['the text is there twice', '= 1;', '= 2;'],
    ['the text is not there', 'release', 'hold'],
    ['the code is none any more', 'lease = 1', 'lease = ('],
  ])('is not broken when %s', (_why, find, put) => {
    expect(breaking(find, put)).toEqual([WHOLE, 'UnusableFaultError', WHOLE]);
  });
});
