import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '..', '..');

/** The documents of the root and those under `docs`, as paths from the root. */
export function documents(): string[] {
  const atRoot = readdirSync(root).filter((name) => name.endsWith('.md'));
  const below = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name));
  return [...atRoot, ...below].sort();
}

export function read(document: string): string {
  return readFileSync(join(root, document), 'utf8');
}

export interface CodeBlock {
  readonly document: string;
  /** Line of the document that the first line of the code stands on. */
  readonly line: number;
  readonly code: string;
}

/** The fenced blocks of a language, in their order. */
export function codeBlocks(document: string, language: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { language: string; line: number; code: string[] } | undefined;
  for (const [index, line] of read(document).split('\n').entries()) {
    const fence = /^\s*```(.*)$/.exec(line);
    if (fence === null) open?.code.push(line);
    else if (open === undefined) open = { language: fence[1]!.trim(), line: index + 2, code: [] };
    else {
      if (open.language === language)
        blocks.push({ document, line: open.line, code: open.code.join('\n') });
      open = undefined;
    }
  }
  return blocks;
}

/** What a column of a table has as code, in the order of the rows. */
export function codeNames(document: string, heading: string, column: string): string[] {
  return rowsBelow(document, heading).flatMap((row) =>
    [...row[column]!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!),
  );
}

/** The rows of the first table below a heading: by column, without the marks of code and links to the glossary. */
export function tableBelow(document: string, heading: string): Record<string, string>[] {
  return rowsBelow(document, heading).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([column, text]) => [
        column,
        text
          .replaceAll(/\[([^\]]+)\]\(\S*glossary\.md\)/g, '$1')
          .replaceAll('`', '')
          .trim(),
      ]),
    ),
  );
}

function rowsBelow(document: string, heading: string): Record<string, string>[] {
  const lines = read(document).split('\n');
  const section = lines.findIndex((line) => line.replace(/^#+ /, '') === heading);
  const start = lines.findIndex((line, index) => index > section && line.startsWith('|'));
  if (section === -1 || start === -1) throw new Error(`${document} has no table below ${heading}.`);
  const [first = [], , ...rows] = lines.slice(start, endOfTable(lines, start)).map(cells);
  const headings = first.map((name) => name.replaceAll('`', ''));
  return rows.map((row) => Object.fromEntries(headings.map((name, at) => [name, row[at] ?? ''])));
}

function endOfTable(lines: readonly string[], start: number): number {
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return end === -1 ? lines.length : end;
}

function cells(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.replaceAll('\\|', '|').trim());
}
