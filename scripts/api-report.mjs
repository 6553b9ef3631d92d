// Usage: node scripts/api-report.mjs [--check]; npm run api, npm run check:api.
// Writes what each entry point exports, as its declarations say it, to etc/api: a change of the public
// API is a change of these files. Fails if a declaration needs a name that no entry point exports.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** Names in declarations that nobody outside writes. */
const HELPERS = {
  BRAND: 'a mark that no application sets',
  ConfigurableModuleClass: 'what Nest makes the module of',
  DeepestPath: 'a part of BodyPath',
  Leaf: 'a part of BodyPath',
};

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const folder = join(root, 'etc/api');
const { name: packageName, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** Entry points by the import that finds them, with their declarations. */
const entries = Object.entries(exports)
  .filter(([, target]) => typeof target === 'object')
  .map(([subpath, target]) => ({
    name: subpath.replace('.', packageName),
    report: `${subpath === '.' ? 'index' : subpath.slice(2)}.api.md`,
    file: join(root, target.import.types),
  }));

/** Declarations by their path in dist, none of which is written. */
const declarations = new Map(
  ['tsconfig.build.esm.json', 'tsconfig.build.client.json'].flatMap(declarationsOf),
);

const program = ts.createProgram({
  rootNames: entries.map(({ file }) => file),
  options: { ...configOf('tsconfig.build.esm.json').options, noEmit: true, rootDir: undefined },
  host: hostOf(declarations),
});
const checker = program.getTypeChecker();
const printer = ts.createPrinter({ removeComments: true });

/** Classes that Nest makes: their constructors are lists of what it injects, and no API. */
const madeByNest = new Set(
  program
    .getSourceFiles()
    .filter(({ fileName }) => declarations.has(fileName))
    .flatMap(({ fileName }) => [
      ...sourceOf(fileName).matchAll(
        /^@(?:Injectable|Module|Controller|IdempotencyStrategy)\([^]*?^export class (\w+)/gm,
      ),
    ])
    .map(([, name]) => name),
);

const exported = new Set(
  entries.flatMap(({ file }) => exportsOf(file).map(({ symbol }) => symbol)),
);
const problems = [];
const reports = new Map(entries.map((entry) => [entry.report, reportOf(entry)]));

if (process.argv.includes('--check')) check();
else write();
if (problems.length > 0) {
  console.error(problems.join('\n'));
  process.exitCode = 1;
}

function configOf(name) {
  const path = join(root, name);
  const fail = (diagnostic) => {
    throw new Error(ts.flattenDiagnosticMessageText(diagnostic.messageText, '\n'));
  };
  return ts.getParsedCommandLineOfConfigFile(
    path,
    {},
    { ...ts.sys, onUnRecoverableConfigFileDiagnostic: fail },
  );
}

function declarationsOf(config) {
  const { options, fileNames } = configOf(config);
  const emitted = [];
  const { diagnostics } = ts
    .createProgram(fileNames, { ...options, emitDeclarationOnly: true, noEmitOnError: false })
    .emit(undefined, (path, text) => emitted.push([path, text]));
  if (diagnostics.length > 0)
    throw new Error(ts.formatDiagnostics(diagnostics, ts.createCompilerHost(options)));
  return emitted;
}

/** The text that a declaration was made of. */
function sourceOf(path) {
  const name = relative(join(root, 'dist/esm'), path).replace(/\.d\.ts$/, '.ts');
  return readFileSync(join(root, 'src', name), 'utf8');
}

function hostOf(files) {
  const disk = ts.createCompilerHost({});
  const folders = new Set([...files.keys()].map((path) => dirname(path)));
  const readFile = (path) => files.get(path) ?? disk.readFile(path);
  return {
    ...disk,
    readFile,
    fileExists: (path) => files.has(path) || disk.fileExists(path),
    directoryExists: (path) => folders.has(path) || disk.directoryExists(path),
    getSourceFile(path, languageVersion) {
      const text = readFile(path);
      return text === undefined
        ? undefined
        : ts.createSourceFile(path, text, languageVersion, true);
    },
  };
}

/** The names of a file, with what they stand for. */
function exportsOf(file) {
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  return checker
    .getExportsOfModule(module)
    .map((symbol) => ({ name: symbol.getName(), symbol: targetOf(symbol) }))
    .sort((one, other) => (one.name < other.name ? -1 : 1));
}

function targetOf(symbol) {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

function reportOf({ name, file }) {
  const signatures = exportsOf(file).map(({ name: exportedAs, symbol }) => {
    const texts = symbol
      .getDeclarations()
      .filter((declaration) => isOurs(declaration))
      .map((declaration) => textOf(publicPart(declaration), exportedAs, name));
    return texts.join('\n\n');
  });
  return [
    `# ${name}`,
    '',
    'Made by `npm run api`. Every exported name, as its declaration says it.',
    '',
    '```ts',
    signatures.join('\n\n'),
    '```',
    '',
  ].join('\n');
}

function isOurs(declaration) {
  return declarations.has(declaration.getSourceFile().fileName);
}

/** The declaration without its private members; a constant as a statement of its own. */
function publicPart(declaration) {
  if (ts.isVariableDeclaration(declaration)) {
    const { parent } = declaration;
    return ts.factory.updateVariableStatement(
      parent.parent,
      parent.parent.modifiers,
      ts.factory.updateVariableDeclarationList(parent, [declaration]),
    );
  }
  if (!ts.isClassDeclaration(declaration)) return declaration;
  return ts.factory.updateClassDeclaration(
    declaration,
    declaration.modifiers,
    declaration.name,
    declaration.typeParameters,
    declaration.heritageClauses,
    declaration.members.filter(
      (member) =>
        !isPrivate(member) &&
        !(ts.isConstructorDeclaration(member) && madeByNest.has(declaration.name.text)),
    ),
  );
}

function isPrivate(member) {
  return (
    (ts.getCombinedModifierFlags(member) & ts.ModifierFlags.Private) !== 0 ||
    (member.name !== undefined && ts.isPrivateIdentifier(member.name))
  );
}

function textOf(node, exportedAs, entry) {
  const original = ts.isVariableStatement(node)
    ? node.declarationList.declarations[0]
    : ts.getOriginalNode(node);
  for (const needed of namesIn(node))
    if (
      !exported.has(needed) &&
      !Object.hasOwn(HELPERS, needed.getName()) &&
      needed !== checker.getSymbolAtLocation(original.name)
    )
      problems.push(`${entry}: ${exportedAs} needs ${needed.getName()}, which no entry exports.`);
  return printer.printNode(ts.EmitHint.Unspecified, node, original.getSourceFile());
}

/** The library's own names that a declaration is made of. */
function namesIn(node) {
  const found = new Set();
  const visit = (part) => {
    if (ts.isIdentifier(part)) {
      const symbol = checker.getSymbolAtLocation(part);
      const target = symbol && targetOf(symbol);
      const [declaration] = target?.getDeclarations() ?? [];
      if (declaration !== undefined && isOurs(declaration) && isNamed(declaration))
        found.add(target);
    }
    ts.forEachChild(part, visit);
  };
  visit(node);
  return found;
}

/** True for what a file declares by name: no member, parameter or type parameter. */
function isNamed(declaration) {
  const statement = ts.isVariableDeclaration(declaration) ? declaration.parent.parent : declaration;
  return ts.isSourceFile(statement.parent) && !ts.isSourceFile(statement);
}

function write() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [report, text] of reports) writeFileSync(join(folder, report), text);
}

function check() {
  const there = existsSync(folder) ? readdirSync(folder) : [];
  for (const report of new Set([...there, ...reports.keys()])) {
    const path = join(folder, report);
    const committed = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (committed !== (reports.get(report) ?? ''))
      problems.push(
        `${relative(root, path)} is not what the code exports. Run "npm run api", read the difference, commit it.`,
      );
  }
}
