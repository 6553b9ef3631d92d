import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import * as contracts from '../../src/contracts/index.js';
import * as frontDoor from '../../src/index.js';
import { root } from '../docs/markdown.js';

/** An application has to find its way among them. */
const MOST_NAMES = 60;

interface Exported {
  readonly name: string;
  readonly isType: boolean;
}

/** What a file exports by name, and the other ways in which it exports something. */
function exportsOf(path: string): { names: Exported[]; others: string[] } {
  const text = readFileSync(join(root, path), 'utf8');
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
  const names: Exported[] = [];
  const others: string[] = [];
  for (const statement of file.statements) {
    if (
      ts.isExportDeclaration(statement) &&
      statement.exportClause !== undefined &&
      ts.isNamedExports(statement.exportClause)
    )
      for (const { name, isTypeOnly } of statement.exportClause.elements)
        names.push({ name: name.text, isType: statement.isTypeOnly || isTypeOnly });
    else others.push(statement.getText());
  }
  return { names, others };
}

describe.each([
  ['src/index.ts', frontDoor],
  ['src/contracts/index.ts', contracts],
])('%s', (path, module) => {
  const { names, others } = exportsOf(path);

  it('names each export by itself', () => {
    expect(others).toEqual([]);
    expect(names.length).toBeGreaterThan(0);
  });

  it('has each value as a value', () => {
    const values = names.filter(({ isType }) => !isType).map(({ name }) => name);
    expect(Object.keys(module).sort()).toEqual(values.sort());
  });
});

describe('the front door', () => {
  const { names } = exportsOf('src/index.ts');

  it(`has at most ${MOST_NAMES} names`, () => {
    expect(names.map(({ name }) => name).slice(MOST_NAMES)).toEqual([]);
  });

  it('shares no name with the entry for authors', () => {
    const ofAuthors = new Set(exportsOf('src/contracts/index.ts').names.map(({ name }) => name));
    expect(names.filter(({ name }) => ofAuthors.has(name))).toEqual([]);
  });

  it('hands out the types of events as a value', () => {
    expect(frontDoor.EVENT_TYPES).toContain('claimed');
  });
});
