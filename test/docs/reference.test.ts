import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULTS as CLIENT_DEFAULTS } from '../../src/client/options.js';
import { EVENT_TYPES } from '../../src/engine/events.js';
import { REFUSALS } from '../../src/engine/refusals.js';
import { isDeterministic } from '../../src/calls/failure.js';
import { EXPOSE_HEADER, LINK_HEADER } from '../../src/transports/http/headers.js';
import { CORS_ALLOWED_HEADERS, CORS_EXPOSED_HEADERS } from '../../src/idempotency.cors.js';
import { DEFAULTS, MODULE_DEFAULTS } from '../../src/options/idempotency.options.js';
import * as frontDoor from '../../src/index.js';
import { MAX_KEY_LENGTH } from '../../src/keys/key-part.js';
import { CHANNEL_PREFIX } from '../../src/observability/idempotency-events.js';
import { TOKEN_CONTROLLER_DEFAULTS, TOKEN_DEFAULTS } from '../../src/options/token-options.js';
import { read, root, tableBelow } from './markdown.js';
import { type Member, membersOf, statedDefaults } from './source.js';

const REFERENCE = 'docs/reference.md';

/** A default as code writes it. */
function written(value: string | number | boolean): string {
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** Option and default of the first table below a heading. */
function optionTable(heading: string, document = REFERENCE): Record<string, string> {
  return Object.fromEntries(
    tableBelow(document, heading).map((row) => [row['option']!, row['default']!]),
  );
}

function oneLine(document: string): string {
  return read(document).replaceAll(/\s+/g, ' ');
}

describe('the options in the reference', () => {
  const OPTIONS_FILE = 'options/idempotency.options.ts';
  const moduleMembers = new Map([
    ...membersOf(OPTIONS_FILE, 'IdempotencyModuleOptions'),
    ...membersOf('options/store-options.ts', 'LockOptions'),
    ...membersOf('options/module-definition.ts', 'IdempotencyModuleExtras'),
  ]);
  const TABLES: Record<string, { members: Map<string, Member>; defaults: object }> = {
    '`@Idempotent()`': {
      members: membersOf(OPTIONS_FILE, 'IdempotentOptions'),
      defaults: DEFAULTS,
    },
    '`IdempotencyModule.forRoot()`': { members: moduleMembers, defaults: MODULE_DEFAULTS },
    '`tokens`': {
      members: membersOf('options/token-options.ts', 'TokenOptions'),
      defaults: TOKEN_DEFAULTS,
    },
    '`tokenController`': {
      members: membersOf('options/token-options.ts', 'TokenControllerOptions'),
      defaults: TOKEN_CONTROLLER_DEFAULTS,
    },
  };

  it.each(Object.entries(TABLES))(
    'below %s are those of the code, with the defaults that their comments state',
    (heading, { members }) => {
      expect(optionTable(heading)).toEqual(statedDefaults(members));
    },
  );

  it.each(Object.entries(TABLES))('below %s have the defaults of the code', (heading, table) => {
    const stated = optionTable(heading);
    for (const [option, value] of Object.entries(table.defaults))
      expect([option, stated[option]]).toEqual([option, written(value)]);
  });

  it('of the strategies are those of the code, with the defaults that their comments state', () => {
    const interfaces = {
      token: 'TokenStrategyOptions',
      version: 'VersionOptions',
      state: 'StateOptions',
      queue: 'QueueStrategyOptions',
    };
    const rows = tableBelow(REFERENCE, 'Strategies');
    expect(new Set(rows.map(({ strategy }) => strategy))).toEqual(new Set(Object.keys(interfaces)));
    for (const [strategy, name] of Object.entries(interfaces)) {
      const own = rows.filter((row) => row['strategy'] === strategy);
      expect(Object.fromEntries(own.map((row) => [row['option'], row['default']]))).toEqual(
        statedDefaults(membersOf('options/strategy-options.ts', name)),
      );
    }
  });

  it('of the client are those of the code', () => {
    const stated = optionTable('A fetch that repeats', 'docs/client.md');
    const members = membersOf('client/options.ts', 'IdempotentFetchOptions');
    expect(Object.keys(stated).sort()).toEqual([...members.keys()].sort());
    for (const [option, value] of Object.entries(CLIENT_DEFAULTS))
      expect(stated[option]!.replaceAll('_', '')).toBe(written(value));
  });
});

describe('the imports in the reference', () => {
  it('are those of the package', () => {
    const { name, exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      name: string;
      exports: Record<string, unknown>;
    };
    const entries = Object.keys(exports).filter((entry) => entry !== './package.json');
    const stated = tableBelow(REFERENCE, 'Imports').map((row) => row['import']!);
    expect(stated.sort()).toEqual(entries.map((entry) => entry.replace('.', name)).sort());
  });
});

describe('the keys in the reference', () => {
  it('name every source that there is, and no other', () => {
    const named = tableBelow(REFERENCE, 'Keys').flatMap(
      ({ key }) => key!.match(/^\w+(?=[(<])/) ?? [],
    );
    const sources = readdirSync(join(root, 'src/keys'))
      .map((name) => readFileSync(join(root, 'src/keys', name), 'utf8'))
      .flatMap((text) => [...text.matchAll(/^export function (\w+).*: KeySource \{$/gm)])
      .map(([, name]) => name!);
    expect(sources.filter((name) => name in frontDoor).sort()).toEqual([...new Set(named)].sort());
  });

  it('have the longest key', () => {
    const sentence = `1 to ${MAX_KEY_LENGTH} characters`;
    for (const document of [REFERENCE, 'docs/security.md'])
      expect(oneLine(document)).toContain(sentence);
  });
});

describe('the answers in the reference', () => {
  it('have every refusal with status, title and whether it is retryable, and no other', () => {
    const rows = tableBelow(REFERENCE, 'Errors');
    expect(
      rows.map(({ code, status, title, retryable }) => ({ code, status, title, retryable })),
    ).toEqual(
      Object.entries(REFUSALS).map(([code, { status, title, retryable }]) => ({
        code,
        status: String(status),
        title,
        retryable: retryable ? 'yes' : 'no',
      })),
    );
    expect(rows.filter((row) => row['when'] === '' || row['what the caller does'] === '')).toEqual(
      [],
    );
  });

  it('have the headers of the code, in both directions', () => {
    const rows = tableBelow(REFERENCE, 'Headers');
    const named = (direction: string) =>
      rows.filter((row) => row['direction'] === direction).map(({ header }) => header);
    expect([...named('request'), 'Content-Type']).toEqual(CORS_ALLOWED_HEADERS);
    expect(named('reply')).toEqual([...CORS_EXPOSED_HEADERS, EXPOSE_HEADER, LINK_HEADER]);
  });

  it('list the statuses below 500 that are not kept', () => {
    const passing: number[] = [];
    for (let status = 400; status < 500; status++)
      if (!isDeterministic(status)) passing.push(status);
    const list = `${passing.slice(0, -1).join(', ')} and ${passing.at(-1)}`;
    for (const document of [
      REFERENCE,
      'docs/failure-modes.md',
      'docs/decisions/0004-what-a-failure-leaves-behind.md',
    ])
      expect(oneLine(document)).toContain(list);
  });
});

describe('what happens, in the reference', () => {
  it('has every event with what it carries, and no other', () => {
    const rows = tableBelow(REFERENCE, 'Events');
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

  it('has the names of the diagnostics channels', () => {
    expect(read(REFERENCE)).toContain(`${CHANNEL_PREFIX}<type>`);
  });

  it('names every member of an operation, and no other', () => {
    const rows = tableBelow('docs/operation.md', 'In the handler');
    const named = rows.flatMap(({ member }) => member!.replace(/\(.*/, '').split(', '));
    const members = membersOf('operation/idempotent-operation.ts', 'IdempotentOperation');
    expect(named.sort()).toEqual([...members.keys()].sort());
  });

  it('has the bounds of the memory store', () => {
    const source = readFileSync(join(root, 'src/stores/memory/memory.store.ts'), 'utf8');
    const bounds = /maxRecords = ([\d_]+),\s*maxBytes = 2 \*\* (\d+)/.exec(source);
    const records = bounds?.[1]?.replaceAll('_', ' ');
    const mebibytes = 2 ** (Number(bounds?.[2]) - 20);
    expect(oneLine(REFERENCE)).toContain(`${records} records and ${mebibytes} MiB by default`);
  });

  it('has the lease and the ttl that the decision on them states', () => {
    const text = read('docs/decisions/0002-lease-and-ttl-are-two-clocks.md');
    const inWords = (duration: string) => duration.replace(/(\d)([a-z])/, '$1 $2');
    expect(text).toContain(`lease (${inWords(DEFAULTS.lease)})`);
    expect(text).toContain(`ttl (${inWords(DEFAULTS.ttl)})`);
  });
});

function capitalized(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1);
}
