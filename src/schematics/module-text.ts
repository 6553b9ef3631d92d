/**
 * The text of a root module with another module in its `imports`.
 *
 * @returns undefined where that place cannot be told from the text
 */
export function withImport(text: string, name: string, from: string): string | undefined {
  const code = codeOnly(text);
  const at = objectOfRoot(code);
  const edited = at === undefined ? undefined : withElement(text, code, at, name);
  return edited === undefined
    ? undefined
    : withStatement(edited, `import { ${name} } from '${from}';`);
}

/** Whether relative imports name the compiled file, as ES modules do; undefined without any. */
export function importsEndInJs(text: string): boolean | undefined {
  const [, path] = /\bfrom\s*['"](\.{1,2}\/[^'"]+)['"]/.exec(text) ?? [];
  return path?.endsWith('.js');
}

/** The same length, with blanks for comments and for what is inside of quotes. */
function codeOnly(text: string): string {
  const hidden =
    /\/\/[^\n]*|\/\*[^]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[^]|[^`\\])*`/g;
  const blank = (part: string): string => part.replaceAll(/[^\n]/g, ' ');
  return text.replaceAll(hidden, (found) =>
    found.startsWith('/') ? blank(found) : `${found[0]}${blank(found.slice(1, -1))}${found[0]}`,
  );
}

/** Where the object of the root's `@Module({` begins. */
function objectOfRoot(code: string): number | undefined {
  const modules = [...code.matchAll(/@Module\(\s*\{/g)].map((found) => ({
    start: found.index + found[0].length - 1,
    className: /^[^@]*?\bclass\s+(\w+)/.exec(code.slice(found.index + found[0].length))?.[1],
  }));
  const roots =
    modules.length === 1 ? modules : modules.filter((each) => each.className === 'AppModule');
  return roots.length === 1 ? roots[0]!.start : undefined;
}

function withElement(text: string, code: string, object: number, name: string): string | undefined {
  const list = ownProperty(code, object, 'imports');
  if (list === undefined) return inserted(text, object + 1, `\n  imports: [${name}],`);
  if (code[list] !== '[') return undefined;
  if (/^\s*\]/.test(code.slice(list + 1))) return inserted(text, list + 1, name);
  const [line] = /^\s*\n[ \t]*/.exec(code.slice(list + 1)) ?? [];
  return inserted(text, list + 1, line === undefined ? `${name}, ` : `${line}${name},`);
}

const inserted = (text: string, at: number, what: string): string =>
  `${text.slice(0, at)}${what}${text.slice(at)}`;

/** Where the value of an object's own property begins. */
function ownProperty(code: string, object: number, name: string): number | undefined {
  const property = new RegExp(`(?<![\\w$.])${name}\\b\\s*:?\\s*`, 'y');
  let depth = 0;
  for (let at = object; at < code.length; at++) {
    if ('{[('.includes(code[at]!)) depth++;
    if ('}])'.includes(code[at]!) && --depth === 0) return undefined;
    property.lastIndex = at;
    if (depth === 1 && property.test(code)) return property.lastIndex;
  }
  return undefined;
}

/** After the last statement that imports something. */
function withStatement(text: string, statement: string): string {
  const last = [...codeOnly(text).matchAll(/^import\b[^'"]*(['"])\s*\1[^\n]*/gm)].at(-1);
  return last === undefined
    ? `${statement}\n${text}`
    : inserted(text, last.index + last[0].trimEnd().length, `\n${statement}`);
}
