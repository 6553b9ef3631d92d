import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { root } from './markdown.js';

/** A member of an interface, as its comment and its type describe it. */
export interface Member {
  readonly isOptional: boolean;
  /** The text of its `@default`. */
  readonly default: string | undefined;
}

/** The members of an interface in `src`. */
export function membersOf(file: string, name: string): Map<string, Member> {
  const path = join(root, 'src', file);
  const source = ts.createSourceFile(
    path,
    readFileSync(path, 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const found = source.statements.find(
    (statement): statement is ts.InterfaceDeclaration =>
      ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (found === undefined) throw new Error(`${file} has no interface ${name}.`);
  return new Map(
    found.members.map((member) => {
      const tag = ts.getJSDocTags(member).find(({ tagName }) => tagName.text === 'default');
      const text = tag && ts.getTextOfJSDocComment(tag.comment);
      return [
        member.name!.getText(source),
        {
          isOptional: ts.isPropertySignature(member) && member.questionToken !== undefined,
          default: text?.replaceAll('`', '').replaceAll(/\s+/g, ' ').trim(),
        },
      ];
    }),
  );
}

/** Members and defaults as a table of options has them. */
export function statedDefaults(
  members: Map<string, Member>,
  ofRequired = 'required',
): Record<string, string> {
  return Object.fromEntries(
    [...members].map(([name, member]) => [
      name,
      member.default ?? (member.isOptional ? 'none' : ofRequired),
    ]),
  );
}
