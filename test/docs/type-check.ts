import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { type CodeBlock, root } from './markdown.js';
import { SCAFFOLD, SCAFFOLD_TYPES } from './scaffold.js';

const PREAMBLE = readFileSync(join(root, 'test/docs/preamble.ts'), 'utf8');

/** A file that is not on the disk, and the block that it was made of. */
interface VirtualFile {
  readonly text: string;
  readonly block?: CodeBlock;
  /** How many lines stand before the block in the file. */
  readonly linesBefore: number;
}

/** A block as the file that is checked. */
function asFile(block: CodeBlock): VirtualFile {
  const { code } = block;
  if (/^import /m.test(code)) return { text: code, block, linesBefore: 0 };
  const isHandler = code.trimStart().startsWith('@') && !/^(export )?class /m.test(code);
  const before = isHandler ? `${PREAMBLE}abstract class Handlers extends Fragment {\n` : PREAMBLE;
  return {
    text: `${before}${code}\n${isHandler ? '}\n' : ''}export {};\n`,
    block,
    linesBefore: before.split('\n').length - 1,
  };
}

const FOLDER = join(root, 'test', 'docs');

function virtualPath(...parts: string[]): string {
  return join(FOLDER, ...parts).replaceAll('\\', '/');
}

/**
 * Blocks by the paths that they are checked under. One that begins with a comment such as
 * `// src/app.module.ts` is a file of a project, beside those that `nest new` makes; a later one of
 * the same name stands beside the first.
 */
function virtualFiles(blocks: readonly CodeBlock[]): Map<string, VirtualFile> {
  const files = new Map<string, VirtualFile>([
    [virtualPath('scaffold-types.d.ts'), { text: SCAFFOLD_TYPES, linesBefore: 0 }],
  ]);
  for (const [index, block] of blocks.entries()) {
    const path = /^\/\/ (\S+)\.ts\n/.exec(block.code)?.[1];
    if (path === undefined) {
      files.set(virtualPath(`block-${index}.ts`), asFile(block));
      continue;
    }
    const project = `project-of-${block.document.replaceAll(/\W/g, '-')}`;
    for (const [name, text] of Object.entries(SCAFFOLD))
      files.set(virtualPath(project, name), { text, linesBefore: 0 });
    const first = virtualPath(project, `${path}.ts`);
    files.set(
      files.has(first) ? virtualPath(project, `${path}-${index}.ts`) : first,
      asFile(block),
    );
  }
  return files;
}

/** Checks all blocks in one program, as files of this project that are not on the disk. */
export function typeErrors(blocks: readonly CodeBlock[]): string[] {
  const files = virtualFiles(blocks);
  const program = programOf(files);
  const errors: string[] = program
    .getGlobalDiagnostics()
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
  for (const [name, { block, linesBefore }] of files) {
    if (block === undefined) continue;
    const source = program.getSourceFile(name)!;
    const found = [
      ...program.getSyntacticDiagnostics(source),
      ...program.getSemanticDiagnostics(source),
    ];
    for (const { start = 0, messageText } of found) {
      const line = ts.getLineAndCharacterOfPosition(source, start).line - linesBefore + block.line;
      errors.push(
        `${block.document}:${line}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`,
      );
    }
  }
  return errors;
}

function programOf(files: ReadonlyMap<string, VirtualFile>): ts.Program {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name)?.text ?? readFile(name);
  host.directoryExists = (name) =>
    name.startsWith(virtualPath('project-of-')) || directoryExists?.(name) !== false;
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const file = files.get(name);
    return file === undefined
      ? getSourceFile(name, languageVersion, ...rest)
      : ts.createSourceFile(name, file.text, languageVersion);
  };
  return ts.createProgram([...files.keys()], options, host);
}
