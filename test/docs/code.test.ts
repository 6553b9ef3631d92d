import { codeBlocks, documents } from './markdown.js';
import { typeErrors } from './type-check.js';

describe('the documents show code', () => {
  const blocks = documents().flatMap((document) => codeBlocks(document, 'ts'));
  const wrong = { document: 'wrong.md', line: 7, code: '\nconst key: number = provider;' };
  let errors: string[];

  beforeAll(() => {
    errors = typeErrors([...blocks, wrong]);
  }, 120_000);

  it('that type-checks', () => {
    expect(errors.filter((error) => !error.startsWith(wrong.document))).toEqual([]);
    expect(new Set(blocks.map(({ document }) => document))).toContain('README.md');
  });

  it('whose errors would be seen, with their line', () => {
    expect(errors.filter((error) => error.startsWith(wrong.document))).toEqual([
      expect.stringMatching(/^wrong\.md:8: .*is not assignable/),
    ]);
  });
});
