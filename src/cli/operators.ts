import { recoveredReply } from '../operation/recovery.js';
import type { Duration } from '../engine/duration.js';
import type { ListedState } from '../engine/store.js';
import type { SettledBy } from '../engine/story.js';
import type { OperationView, OperatorDecision } from '../operators/operator-records.js';
import {
  type Command,
  EXIT,
  type ExitCode,
  type Given,
  type Surroundings,
  textOf,
  UsageError,
} from './command.js';
import { type OpenedRecords, openRecords, RECORDS_OPTIONS, RECORDS_USAGE } from './records.js';

const SETTLED_BY_OPTIONS = { by: { type: 'string' }, reason: { type: 'string' } } as const;
const SETTLED_BY_USAGE = [
  '--by <name>       who decides',
  '--reason <text>   why; both are kept in the record',
];

const PURGE_BATCH = 1_000;
const PAGE = 100;
/** More are not counted. */
const MOST_COUNTED = 10_000;

export const held: Command = {
  summary: 'lists the operations that somebody has to settle, the oldest first',
  usage: [
    ...RECORDS_USAGE,
    '--abandoned       lists operations whose process died instead; not on a Redis Cluster',
    '--scope <scope>   only this handler, such as "POST /payments"',
    '--label <label>   only operations with this label',
    '--older-than <duration>   only operations that have waited longer than this, such as 10m',
    '--check           exits with 3 if there are any',
  ],
  options: {
    ...RECORDS_OPTIONS,
    abandoned: { type: 'boolean' },
    scope: { type: 'string' },
    label: { type: 'string' },
    'older-than': { type: 'string' },
    check: { type: 'boolean' },
  },
  run: (given, around) =>
    withRecords(given, around, async ({ records }) => {
      const { options } = given;
      const query = {
        state: (options['abandoned'] === true ? 'abandoned' : 'held') as ListedState,
        scope: textOf(given, 'scope'),
        label: textOf(given, 'label'),
        olderThan: textOf(given, 'older-than') as Duration | undefined,
        limit: PAGE,
      };
      let cursor: string | undefined;
      let count = 0;
      do {
        const page = await records.list({ ...query, cursor });
        for (const one of page.records)
          around.print(options['json'] === true ? JSON.stringify(one) : lineOf(one));
        count += page.records.length;
        ({ cursor } = page);
      } while (cursor !== undefined);
      if (count === 0 && options['json'] !== true) around.print('No operation is waiting.');
      return options['check'] === true && count > 0 ? EXIT.needed : EXIT.done;
    }),
};

export const show: Command = {
  summary: 'shows what is known about one operation; takes the id of its record',
  usage: ['<id>              from the alarm, an event, or `held`', ...RECORDS_USAGE],
  options: RECORDS_OPTIONS,
  takesId: true,
  run: (given, around) =>
    withRecords(given, around, async ({ records }) => {
      const id = idOf(given);
      const found = await records.find({ id });
      if (found === undefined) return missing(around, id);
      if (given.options['json'] === true) around.print(JSON.stringify(found));
      else for (const line of storyOf(found)) around.print(line);
      return EXIT.done;
    }),
};

export const settle: Command = {
  summary: 'settles an operation that is held or abandoned; takes the id of its record',
  usage: [
    '<id>              from the alarm, an event, or `held`',
    '--status <number> it happened; retries get this status',
    '--body <text>     the body that goes with --status; JSON is sent as JSON',
    '--value <json>    it happened; retries get this value (over HTTP, with status 200)',
    '--release         it did not happen; the next retry runs',
    '--hold            holds an abandoned operation until somebody settles it',
    '--ttl <duration>  the `ttl` of the handler, if the operation is abandoned; else its reply is kept for 30d',
    ...SETTLED_BY_USAGE,
    ...RECORDS_USAGE,
  ],
  options: {
    ...RECORDS_OPTIONS,
    ...SETTLED_BY_OPTIONS,
    status: { type: 'string' },
    body: { type: 'string' },
    value: { type: 'string' },
    release: { type: 'boolean' },
    hold: { type: 'boolean' },
    ttl: { type: 'string' },
  },
  takesId: true,
  run: async (given, around) => {
    const id = idOf(given);
    const decision = decisionOf(given);
    const settledBy = settledByOf(given);
    return withRecords(given, around, async ({ records }) => {
      if (await records.settle({ id }, decision, settledBy))
        return done(around, given, 'The operation is settled.');
      const found = await records.find({ id });
      if (found === undefined) return missing(around, id);
      around.complain(`The operation is ${found.state}, so there is nothing to settle.`);
      return EXIT.failed;
    });
  },
};

export const forget: Command = {
  summary: 'deletes a record, so that the next call runs as if it were the first; takes its id',
  usage: [
    '<id>              from the alarm, an event, or `held`',
    ...SETTLED_BY_USAGE,
    ...RECORDS_USAGE,
  ],
  options: { ...RECORDS_OPTIONS, ...SETTLED_BY_OPTIONS },
  takesId: true,
  run: async (given, around) => {
    const id = idOf(given);
    const settledBy = settledByOf(given);
    return withRecords(given, around, async ({ records }) => {
      if (await records.forget({ id }, settledBy))
        return done(around, given, 'The record is deleted.');
      if ((await records.find({ id })) === undefined) return missing(around, id);
      around.complain('The operation is running, so its record stays.');
      return EXIT.failed;
    });
  },
};

export const purge: Command = {
  summary: 'deletes expired records; for a scheduler, if your processes freeze between requests',
  usage: RECORDS_USAGE,
  options: RECORDS_OPTIONS,
  run: (given, around) =>
    withRecords(given, around, async (opened) => {
      if (opened.purge === undefined)
        return done(around, given, 'The server deletes expired records itself.');
      let deleted = 0;
      for (;;) {
        const batch = await opened.purge(PURGE_BATCH);
        deleted += batch;
        if (batch === 0) break;
      }
      return done(
        around,
        given,
        deleted === 1 ? '1 record deleted.' : `${deleted} records deleted.`,
      );
    }),
};

export const stats: Command = {
  summary: 'counts held operations by scope, and shows when the oldest was held',
  usage: RECORDS_USAGE,
  options: RECORDS_OPTIONS,
  run: (given, around) =>
    withRecords(given, around, async ({ records }) => {
      const scopes: Record<string, number> = {};
      let oldest: Date | undefined;
      let count = 0;
      let cursor: string | undefined;
      do {
        const page = await records.list({ state: 'held', limit: PAGE, cursor });
        for (const { scope = 'unknown', heldAt } of page.records) {
          scopes[scope] = (scopes[scope] ?? 0) + 1;
          oldest ??= heldAt;
        }
        count += page.records.length;
        ({ cursor } = page);
      } while (cursor !== undefined && count < MOST_COUNTED);
      const isComplete = cursor === undefined;
      if (given.options['json'] === true)
        around.print(JSON.stringify({ held: count, isComplete, oldest, scopes }));
      else {
        around.print(`held: ${count}${isComplete ? '' : ' or more'}`);
        if (oldest !== undefined) around.print(`oldest: ${oldest.toISOString()}`);
        for (const [scope, number] of Object.entries(scopes)) around.print(`  ${number}  ${scope}`);
      }
      return EXIT.done;
    }),
};

async function withRecords(
  given: Given,
  around: Surroundings,
  use: (opened: OpenedRecords) => Promise<ExitCode>,
): Promise<ExitCode> {
  const opened = openRecords(given, around);
  try {
    return await use(opened);
  } finally {
    await opened.close();
  }
}

function done(around: Surroundings, given: Given, text: string): ExitCode {
  around.print(given.options['json'] === true ? JSON.stringify({ done: text }) : text);
  return EXIT.done;
}

function missing(around: Surroundings, id: string): ExitCode {
  around.complain(`There is no record ${id}. It may have expired.`);
  return EXIT.failed;
}

/** @throws {@link UsageError} */
function idOf({ positionals }: Given): string {
  const [id, ...more] = positionals;
  if (id !== undefined && more.length === 0 && /^[0-9a-f]{64}$/.test(id)) return id;
  throw new UsageError('Which record? Pass its id: 64 hexadecimal digits.');
}

/** @throws {@link UsageError} */
function settledByOf(given: Given): SettledBy {
  const by = textOf(given, 'by');
  const reason = textOf(given, 'reason');
  if (by !== undefined && reason !== undefined) return { by, reason };
  throw new UsageError('Who decides, and why? Pass --by and --reason.');
}

/** @throws {@link UsageError} */
function decisionOf(given: Given): OperatorDecision {
  const { release, hold } = given.options;
  const status = textOf(given, 'status');
  const body = textOf(given, 'body');
  const value = textOf(given, 'value');
  const ways = [status !== undefined, value !== undefined, release === true, hold === true];
  if (ways.filter(Boolean).length !== 1 || (body !== undefined && status === undefined))
    throw new UsageError(
      'What happened? Pass one of --status (with --body), --value, --release and --hold.',
    );
  if (release === true) return 'release';
  if (hold === true) return 'hold';
  if (value !== undefined) return recoveredReply(jsonOf(value, '--value'));
  const code = Number(status);
  if (!Number.isInteger(code) || code < 200 || code > 599)
    throw new UsageError('--status takes a number from 200 to 599.');
  return recoveredReply(contentOf(body), { status: code });
}

/** Text that is no JSON is sent as text. */
function contentOf(body: string | undefined): unknown {
  if (body === undefined) return undefined;
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return body;
  }
}

function jsonOf(text: string, option: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new UsageError(`${option} takes JSON, such as '{"id":7}'.`);
  }
}

function lineOf(one: OperationView): string {
  const since = (one.heldAt ?? one.claimedAt)?.toISOString() ?? 'unknown since when';
  const why = one.reason ?? (one.isAbandoned ? 'abandoned' : one.state);
  const parts = [one.id, since, one.scope ?? '-', one.label ?? '-', why];
  return [...parts, ...(one.failure ? [one.failure.name] : [])].join('  ');
}

function storyOf(one: OperationView): string[] {
  const { failure, settledBy } = one;
  const facts: [string, string | number | undefined][] = [
    ['id', one.id],
    ['state', one.isAbandoned ? 'abandoned' : one.state],
    ['scope', one.scope],
    ['label', one.label],
    ['attempt', one.attempt],
    ['steps', one.steps.join(', ') || undefined],
    ['made', one.createdAt?.toISOString()],
    ['claimed', one.claimedAt?.toISOString()],
    ['held', one.heldAt?.toISOString()],
    ['reason', one.reason],
    ['failure', failure && `${failure.name}: ${failure.message}`],
    ['settled', one.settledAt?.toISOString()],
    ['settled by', settledBy?.by],
    ['because', settledBy?.reason],
  ];
  return facts.flatMap(([name, value]) =>
    value === undefined ? [] : [`${`${name}:`.padEnd(12)}${value}`],
  );
}
