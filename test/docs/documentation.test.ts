import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import ts from 'typescript';
import { EVENT_TYPES } from '../../src/engine/events.js';
import { REFUSALS } from '../../src/engine/refusals.js';
import { isDeterministic } from '../../src/entry/failure.js';
import { DEFAULTS, MODULE_DEFAULTS } from '../../src/idempotency.options.js';
import { MAX_KEY_LENGTH } from '../../src/keys/index.js';
import { GUARANTEES } from '../../src/testing/contract/contract-case.js';
import { storeContract } from '../../src/testing/index.js';
import { type CodeBlock, codeBlocks, documents, read, root, tableBelow } from './markdown.js';

const README = 'README.md';

/** The members of an interface in `src`, with the text of their `@default`. */
function membersOf(file: string, name: string): Map<string, string | undefined> {
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
        text?.replaceAll('`', '').replaceAll(/\s+/g, ' ').trim(),
      ];
    }),
  );
}

/** A default as code writes it. */
function written(value: string | number | boolean): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

describe('the tables of the README', () => {
  const forHandlers = optionTable('`@Idempotent()`');
  const forModule = optionTable('`IdempotencyModule.forRoot()`');

  function optionTable(heading: string): Map<string, string> {
    return new Map(tableBelow(README, heading).map((row) => [row['option']!, row['default']!]));
  }

  it('have a row for every option of @Idempotent(), and no other', () => {
    const members = membersOf('idempotency.options.ts', 'IdempotentOptions');
    expect([...forHandlers.keys()].sort()).toEqual([...members.keys()].sort());
  });

  it('have a row for every option of the module, and no other', () => {
    const members = [
      ...membersOf('idempotency.options.ts', 'IdempotencyModuleOptions').keys(),
      ...membersOf('idempotency.module-definition.ts', 'IdempotencyModuleExtras').keys(),
    ];
    expect([...forModule.keys()].sort()).toEqual(members.sort());
  });

  it.each(Object.entries(DEFAULTS))('have the default of %s', (option, value) => {
    expect(forHandlers.get(option)).toBe(written(value));
  });

  it.each(Object.entries(MODULE_DEFAULTS))(
    'have the default of the module’s %s',
    (option, value) => {
      expect(forModule.get(option)).toBe(written(value));
    },
  );

  it('have the defaults that the comments of the options state', () => {
    const handlers = membersOf('idempotency.options.ts', 'IdempotentOptions');
    const module = new Map([
      ...membersOf('idempotency.options.ts', 'IdempotencyModuleOptions'),
      ...membersOf('idempotency.module-definition.ts', 'IdempotencyModuleExtras'),
    ]);
    const stated = (members: Map<string, string | undefined>) =>
      Object.fromEntries([...members].map(([name, value]) => [name, value ?? 'none']));
    expect(Object.fromEntries(forHandlers)).toEqual(stated(handlers));
    expect(Object.fromEntries(forModule)).toEqual(stated(module));
  });

  it('have every refusal with its status and whether it is retryable, and no other', () => {
    const rows = tableBelow(README, 'Answers');
    expect(rows.map(({ when: _when, ...row }) => row)).toEqual(
      Object.entries(REFUSALS).map(([code, { status, retryable }]) => ({
        code,
        status: String(status),
        retryable: retryable ? 'yes' : 'no',
      })),
    );
    expect(rows.filter(({ when }) => when === '')).toEqual([]);
  });

  it('have every event with what it carries, and no other', () => {
    const rows = tableBelow(README, 'Events');
    expect(rows.map(({ event }) => event)).toEqual([...EVENT_TYPES]);
    for (const row of rows) {
      const name = `${row['event']!.split('-').map(capitalized).join('')}Event`;
      const members = [...membersOf('engine/events.ts', name).keys()];
      const own = members.filter((member) => member !== 'type' && member !== 'id');
      expect({ event: row['event'], with: row['with'] }).toEqual({
        event: row['event'],
        with: own.join(', '),
      });
    }
  });

  it('name every member of an operation, and no other', () => {
    const rows = tableBelow(README, 'In the handler');
    const named = rows.flatMap(({ member }) => member!.replace(/\(.*/, '').split(', '));
    const members = membersOf('entry/idempotent-operation.ts', 'IdempotentOperation');
    expect(named.sort()).toEqual([...members.keys()].sort());
  });
});

function capitalized(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1);
}

describe('the numbers in the documents', () => {
  it('list the statuses below 500 that are not kept', () => {
    const passing: number[] = [];
    for (let status = 400; status < 500; status++)
      if (!isDeterministic(status)) passing.push(status);
    const list = `${passing.slice(0, -1).join(', ')} and ${passing.at(-1)}`;
    expect(read(README).replaceAll(/\s+/g, ' ').split(list)).toHaveLength(3);
    expect(read('docs/decisions/0004-what-a-failure-leaves-behind.md')).toContain(list);
  });

  it('have the longest key', () => {
    const sentence = `1 to ${MAX_KEY_LENGTH} characters`;
    for (const document of [README, 'SECURITY.md']) {
      expect(read(document).replaceAll(/\s+/g, ' ')).toContain(sentence);
    }
  });

  it('have the bounds of the memory store', () => {
    const source = readFileSync(join(root, 'src/stores/memory/memory.store.ts'), 'utf8');
    const bounds = /maxRecords = ([\d_]+),\s*maxBytes = 2 \*\* (\d+)/.exec(source);
    const records = bounds?.[1]?.replaceAll('_', ' ');
    const mebibytes = 2 ** (Number(bounds?.[2]) - 20);
    expect(read(README).replaceAll(/\s+/g, ' ')).toContain(
      `${records} records and ${mebibytes} MiB by default`,
    );
  });

  it('have the lease and the retention that the decision on them states', () => {
    const text = read('docs/decisions/0002-lease-and-retention-are-two-clocks.md');
    const inWords = (duration: string) => duration.replace(/(\d)([a-z])/, '$1 $2');
    expect(text).toContain(`lease (${inWords(DEFAULTS.lease)})`);
    expect(text).toContain(`retention (${inWords(DEFAULTS.ttl)})`);
  });

  it('show a contract with a case for every guarantee', () => {
    const proven = new Set(storeContract.map(({ guarantee }) => String(guarantee)));
    expect([...proven].sort()).toEqual(Object.keys(GUARANTEES));
  });
});

describe('the map of the source', () => {
  const rows = tableBelow('src/README.md', 'The way of a call');
  const source = join(root, 'src');

  /** The folders of `src` that files of one import, and whether Nest or rxjs is among it. */
  function imports(folder: string): { folders: Set<string>; nest: boolean } {
    const folders = new Set<string>();
    let nest = false;
    for (const name of readdirSync(join(source, folder), { recursive: true, encoding: 'utf8' })) {
      if (!name.endsWith('.ts') || name.endsWith('.spec.ts')) continue;
      const file = join(source, folder, name);
      for (const { fileName } of ts.preProcessFile(readFileSync(file, 'utf8')).importedFiles) {
        if (/^(@nestjs\/|rxjs)/.test(fileName)) nest = true;
        if (!fileName.startsWith('.')) continue;
        const [first, ...rest] = relative(source, resolve(dirname(file), fileName)).split(sep);
        if (first !== folder) folders.add(rest.length === 0 ? 'root files' : first!);
      }
    }
    return { folders, nest };
  }

  it('has a row for every folder, and no other', () => {
    const folders = readdirSync(source, { withFileTypes: true }).filter((it) => it.isDirectory());
    expect(rows.map(({ folder }) => folder!).sort()).toEqual(
      folders.map(({ name }) => name).sort(),
    );
  });

  it.each(rows.map((row) => [row['folder']!, row] as const))(
    'knows what %s imports',
    (folder, row) => {
      const { folders, nest } = imports(folder);
      const allowed = row['may import'] === '' ? [] : row['may import']!.split(', ');
      expect([...folders].sort()).toEqual(allowed.sort());
      expect(nest ? 'yes' : 'no').toBe(row['Nest']);
    },
  );
});

describe('the documents', () => {
  it('link to files and headings that exist', () => {
    const broken: string[] = [];
    for (const document of [...documents(), 'src/README.md', 'sample-app/README.md']) {
      for (const [, target] of read(document).matchAll(/\]\(([^)\s]+)\)/g)) {
        if (/^[a-z]+:/.test(target!)) continue;
        const [file, heading] = target!.split('#');
        const path = file === '' ? document : join(dirname(document), file!);
        if (!existsSync(join(root, path))) broken.push(`${document}: ${target}`);
        else if (heading !== undefined && !headings(path).includes(heading))
          broken.push(`${document}: ${target}`);
      }
    }
    expect(broken).toEqual([]);
  });

  /** As they are linked to on GitHub. */
  function headings(document: string): string[] {
    return [...read(document).matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
      text!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    );
  }

  describe('show code', () => {
    const blocks = documents().flatMap((document) => codeBlocks(document, 'ts'));
    const wrong = { document: 'wrong.md', line: 7, code: '\nconst key: number = provider;' };
    let errors: string[];

    beforeAll(() => {
      errors = typeErrors([...blocks, wrong]);
    }, 120_000);

    it('that type-checks', () => {
      expect(errors.filter((error) => !error.startsWith(wrong.document))).toEqual([]);
      expect(new Set(blocks.map(({ document }) => document))).toContain(README);
    });

    it('whose errors would be seen, with their line', () => {
      expect(errors.filter((error) => error.startsWith(wrong.document))).toEqual([
        expect.stringMatching(/^wrong\.md:8: .*is not assignable/),
      ]);
    });
  });
});

const PREAMBLE = readFileSync(join(root, 'test/docs/preamble.ts'), 'utf8');

/** A block as the file that is checked, and how many lines stand before it there. */
function asFile({ code }: CodeBlock): { text: string; linesBefore: number } {
  if (/^import /m.test(code)) return { text: code, linesBefore: 0 };
  const isHandler = code.trimStart().startsWith('@') && !/^(export )?class /m.test(code);
  const before = isHandler ? `${PREAMBLE}abstract class Handlers extends Fragment {\n` : PREAMBLE;
  return {
    text: `${before}${code}\n${isHandler ? '}\n' : ''}export {};\n`,
    linesBefore: before.split('\n').length - 1,
  };
}

/** Checks all blocks in one program, as files of this project that are not on the disk. */
function typeErrors(blocks: readonly CodeBlock[]): string[] {
  const files = new Map(
    blocks.map((block, index) => [
      join(root, 'test', 'docs', `block-${index}.ts`).replaceAll('\\', '/'),
      { block, ...asFile(block) },
    ]),
  );
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile);
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = (name) => files.has(name) || fileExists(name);
  host.readFile = (name) => files.get(name)?.text ?? readFile(name);
  host.getSourceFile = (name, languageVersion, ...rest) => {
    const file = files.get(name);
    return file === undefined
      ? getSourceFile(name, languageVersion, ...rest)
      : ts.createSourceFile(name, file.text, languageVersion);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  const errors: string[] = program
    .getGlobalDiagnostics()
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
  for (const [name, { block, linesBefore }] of files) {
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
