import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { pack, unpack, type Packed } from './packed.js';

const ENTRIES = ['index.d.ts', 'client/index.d.ts', 'swagger/index.d.ts', 'testing/index.d.ts'];

describe('the declarations', () => {
  let packed: Packed;
  let library: string;

  beforeAll(() => {
    packed = pack();
    library = join(unpack(packed), 'node_modules', 'nestjs-idempotency');
  });
  afterAll(() => packed?.remove());

  const exportsOf = (entry: string) => {
    const file = join(library, entry);
    const program = ts.createProgram([file], {
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      target: ts.ScriptTarget.ES2022,
    });
    const checker = program.getTypeChecker();
    const module = checker.getSymbolAtLocation(program.getSourceFile(file)!)!;
    return checker.getExportsOfModule(module).map((symbol) => {
      const target =
        symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
      return {
        name: symbol.getName(),
        documentation: ts.displayPartsToString(target.getDocumentationComment(checker)),
      };
    });
  };

  it.each(ENTRIES)('document every export of %s', (entry) => {
    const symbols = exportsOf(`dist/esm/${entry}`);
    const silent = symbols.filter(({ documentation }) => documentation === '');
    expect(silent.map(({ name }) => name)).toEqual([]);
    expect(symbols.length).toBeGreaterThan(0);
  });

  it.each(ENTRIES)('are the same as ES module and as CommonJS: %s', (entry) => {
    expect(exportsOf(`dist/cjs/${entry}`)).toEqual(exportsOf(`dist/esm/${entry}`));
  });

  it('hold nothing that is marked as internal', () => {
    const files = readdirSync(join(library, 'dist'), { recursive: true, encoding: 'utf8' }).filter(
      (path) => path.endsWith('.d.ts'),
    );
    const internal = files.filter((path) =>
      readFileSync(join(library, 'dist', path), 'utf8').includes('@internal'),
    );
    expect(files.length).toBeGreaterThan(0);
    expect(internal).toEqual([]);
  });
});
