import { join } from 'node:path';
import { Body, Controller, Post } from '@nestjs/common';
import { Idempotent, type IdempotentDeclaration } from 'nestjs-idempotency';
import ts from 'typescript';
import { root } from '../docs/markdown.js';
import { membersOf } from '../docs/source.js';
import { bootError } from '../support/http.js';

/** Each strategy as code declares it, with what it must be given. */
const DECLARED = {
  none: '',
  'unique-key': "strategy: 'unique-key'",
  token: "strategy: 'token'",
  version: "strategy: 'version', entity: Goods, id: param('id'), version: ifMatch()",
  state: "strategy: 'state', entity: Goods, id: param('id'), column: 'status', to: 'paid'",
  lock: "strategy: 'lock'",
  queue: "strategy: 'queue', queue: 'imports'",
} as const;

/** The common options that mean nothing to a strategy. */
const REFUSED_BY: Readonly<Record<string, readonly string[]>> = {
  token: ['key', 'scope', 'maxAge'],
  version: ['key', 'fingerprint', 'content', 'maxAge'],
  state: ['key', 'fingerprint', 'content', 'maxAge'],
  lock: [
    'ttl',
    'onDuplicate',
    'fingerprint',
    'content',
    'onError',
    'onAbandoned',
    'onRecordFailure',
    'maxAttempts',
    'maxAge',
    'transaction',
    'secondConnection',
    'conflictRetries',
    'returns',
  ],
};

/** A value of every common option that the option takes. */
const GIVEN: Readonly<Record<string, string>> = {
  key: "body('orderNo')",
  required: 'false',
  ttl: "'1h'",
  lease: "'10s'",
  wait: '5',
  retryAfter: "'2s'",
  onDuplicate: "'reject'",
  fingerprint: 'false',
  onError: "'hold'",
  onAbandoned: "'hold'",
  maxAttempts: "{ times: 3, afterwards: 'store' }",
  maxAge: "'1h'",
  scope: "'orders'",
  principal: '() => undefined',
  transaction: 'true',
  secondConnection: "'warn'",
  conflictRetries: '0',
  acknowledge: 'true',
  onStoreFailure: "'proceed'",
  onRecordFailure: "'fail'",
  content: "body('orderNo')",
  label: "body('orderNo')",
  stream: "'through'",
  returns: 'Date',
};

const ACCEPTED = [
  "{ onError: 'store' }",
  '{ onError: (error, status, byDefault) => (status === 402 ? "hold" : byDefault) }',
  '{ onError: async (_, status) => (status === 402 ? "hold" : "release") }',
  '{ onAbandoned: async (call) => (call.attempt > 2 ? "hold" : recoveredReply(1)) }',
  '{ onAbandoned: () => "rerun" }',
  "{ strategy: 'token', purpose: 'order' }",
  "{ strategy: 'queue', queue: 'imports', delay: '5s' }",
];

const REFUSED = [
  "{ tll: '1h' }",
  "{ ttl: '10 parsecs' }",
  "{ strategy: 'nonesuch' }",
  "{ onError: 'retry' }",
  '{ onError: () => "retry" }',
  "{ maxAttempts: '3' }",
  "{ maxAttempts: { times: 3, afterwards: 'drop' } }",
  "{ onAbandoned: 'store' }",
  '{ onAbandoned: () => "found" }',
  "{ recover: () => 'rerun' }",
  "{ purpose: 'order' }",
  "{ strategy: 'unique-key', purpose: 'order' }",
  "{ strategy: 'lock', purpose: 'order' }",
  "{ strategy: 'token', queue: 'imports' }",
  "{ strategy: 'version', id: param('id'), version: ifMatch() }",
  "{ strategy: 'state', entity: Goods, id: param('id'), column: 'status' }",
  "{ strategy: 'queue' }",
];

const PREAMBLE = `
import { body, Idempotent, ifMatch, param, recoveredReply } from 'nestjs-idempotency';
class Goods {}
`;

/** What the compiler says of each declaration, by the declaration. */
function errorsOf(declarations: readonly string[]): Map<string, string[]> {
  const name = join(root, 'test/strategies/declarations.ts').replaceAll('\\', '/');
  const lines = declarations.map((declaration) => `void Idempotent(${declaration});`);
  const text = `${PREAMBLE}${lines.join('\n')}`;
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) =>
    ts.sys.readFile(path),
  );
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
  const host = ts.createCompilerHost(options);
  const program = ts.createProgram([name], options, {
    ...host,
    fileExists: (path) => path === name || host.fileExists(path),
    readFile: (path) => (path === name ? text : host.readFile(path)),
    getSourceFile: (path, version, ...rest) =>
      path === name
        ? ts.createSourceFile(path, text, version)
        : host.getSourceFile(path, version, ...rest),
  });
  const source = program.getSourceFile(name)!;
  const before = PREAMBLE.split('\n').length - 1;
  const errors = new Map<string, string[]>(declarations.map((declaration) => [declaration, []]));
  for (const { start = 0, messageText } of program.getSemanticDiagnostics(source)) {
    const line = ts.getLineAndCharacterOfPosition(source, start).line - before;
    const found = errors.get(declarations[line] ?? '');
    const message = ts.flattenDiagnosticMessageText(messageText, ' ');
    if (found === undefined) throw new Error(message);
    found.push(message);
  }
  return errors;
}

const PAIRS = Object.entries(DECLARED).flatMap(([strategy, own]) =>
  Object.entries(GIVEN).map(([option, value]) => ({
    strategy,
    option,
    declaration: `{ ${[own, `${option}: ${value}`].filter((part) => part !== '').join(', ')} }`,
  })),
);

const isRefused = (strategy: string, option: string): boolean =>
  REFUSED_BY[strategy]?.includes(option) ?? false;

describe('the type of @Idempotent()', () => {
  let errors: Map<string, string[]>;

  beforeAll(() => {
    const pairs = PAIRS.map(({ declaration }) => declaration);
    errors = errorsOf([...pairs, ...ACCEPTED, ...REFUSED]);
  });

  it('is tried with every common option', () => {
    const options = [...membersOf('options/idempotency.options.ts', 'IdempotentOptions').keys()];
    expect(['strategy', ...Object.keys(GIVEN)].sort()).toEqual(options.sort());
  });

  it.each(PAIRS.filter(({ strategy, option }) => !isRefused(strategy, option)))(
    'takes $option with strategy $strategy',
    ({ declaration }) => expect(errors.get(declaration)).toEqual([]),
  );

  it.each(PAIRS.filter(({ strategy, option }) => isRefused(strategy, option)))(
    'refuses $option with strategy $strategy',
    ({ declaration }) =>
      expect(errors.get(declaration)).toEqual([
        expect.stringMatching(/is not assignable to type 'undefined'/),
      ]),
  );

  it.each(ACCEPTED)('takes %s', (declaration) => expect(errors.get(declaration)).toEqual([]));

  it.each(REFUSED)('refuses %s', (declaration) =>
    expect(errors.get(declaration)).toEqual([expect.any(String)]),
  );
});

/** Values of the options that are refused, for those who write no types. */
const VALUES: Readonly<Record<string, unknown>> = {
  key: () => 'k',
  scope: 'orders',
  fingerprint: false,
  content: () => 'c',
  ttl: '1h',
  onDuplicate: 'reject',
  onError: 'hold',
  onAbandoned: 'hold',
  onRecordFailure: 'fail',
  maxAttempts: 2,
  maxAge: '1h',
  transaction: true,
  returns: Date,
  secondConnection: 'warn',
  conflictRetries: 0,
};

describe('what a type refuses', () => {
  it.each(
    Object.entries(REFUSED_BY).flatMap(([strategy, options]) =>
      options.map((option) => ({ strategy, option })),
    ),
  )(
    'stops the application, written without types: $option with $strategy',
    async ({ strategy, option }) => {
      @Controller('shop')
      class Shop {
        @Idempotent({ strategy, [option]: VALUES[option] } as unknown as IdempotentDeclaration)
        @Post()
        pay(@Body() _dto: unknown): void {}
      }
      const error = await bootError('express', { controllers: [Shop] });
      expect(error.message).toMatch(
        new RegExp(`^Idempotency option "${option} of Shop.pay" is .+'${strategy}'`),
      );
    },
  );
});
