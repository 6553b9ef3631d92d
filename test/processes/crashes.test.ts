import { end } from '../support/child-program.js';
import type { Point, Protection, Strategy } from './support/crash.js';
import { SERVERS, SQL_SERVERS } from './support/servers.js';
import {
  keyOf,
  LEASE_MS,
  payUpToThePoint,
  retry,
  type Shop,
  Shops,
  SLACK_MS,
  tokenFrom,
} from './support/shops.js';

const RUN_1 = { status: 201, replayed: false, body: { attempt: 1 } };
const RUN_2 = { status: 201, replayed: false, body: { attempt: 2 } };
const REPLAY = { status: 201, replayed: true, body: { attempt: 1 } };
const HELD = { status: 409, replayed: false, body: { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' } };

type Row = readonly [Point, Protection, effects: number, retry: object, waits: boolean];

/** What docs/failure-modes.md promises; `effects` when the retry has been answered. */
const LEASED: readonly Row[] = [
  ['before the claim', 'rerun', 1, RUN_1, false],
  ['before the claim', 'hold', 1, RUN_1, false],
  ['after the claim', 'rerun', 1, RUN_2, true],
  ['after the claim', 'hold', 0, HELD, true],
  ['in the middle of the handler', 'rerun', 1, RUN_2, true],
  ['in the middle of the handler', 'hold', 0, HELD, true],
  ['after the effect', 'rerun', 2, RUN_2, true],
  ['after the effect', 'hold', 1, HELD, true],
  ['after complete', 'rerun', 1, REPLAY, false],
  ['after complete', 'hold', 1, REPLAY, false],
];

const IN_ONE_TRANSACTION: readonly Row[] = [
  ['before the claim', 'transaction', 1, RUN_1, false],
  ['after the claim', 'transaction', 1, RUN_1, false],
  ['in the middle of the handler', 'transaction', 1, RUN_1, false],
  ['after the effect', 'transaction', 1, RUN_1, false],
  ['before the commit', 'transaction', 1, RUN_1, false],
  ['after complete', 'transaction', 1, REPLAY, false],
];

/** A token is a key like any other: no boundary at which a process dies burns it. */
const CASES = SERVERS.flatMap((server) =>
  (['unique-key', 'token'] satisfies Strategy[]).map((strategy) => ({ server, strategy })),
);

describe.each(CASES)('a process on $server.name, $strategy, that is killed', (given) => {
  const { server, strategy } = given;
  let shops: Shops;
  let others: Partial<Record<Protection, Shop>>;
  const isSql = SQL_SERVERS.some(({ name }) => name === server.name);

  beforeAll(async () => {
    shops = await Shops.on(server, strategy);
    const [rerun, hold] = await Promise.all([shops.open('rerun'), shops.open('hold')]);
    others = { rerun, hold, ...(isSql && { transaction: await shops.open('transaction') }) };
  }, 60_000);

  afterAll(() => shops?.close());

  it.each([...LEASED, ...(isSql ? IN_ONE_TRANSACTION : [])])(
    '%s, with %s: the effect happened %d times when the retry is answered',
    async (point, protection, expectedEffects, expected, waits) => {
      const name = keyOf(`${point}, ${protection}`);
      const key = strategy === 'token' ? await tokenFrom(others[protection]!) : name;
      const victim = await shops.open(protection, point);
      await payUpToThePoint(victim, key);
      await end(victim.process);

      const { afterMs, ...answer } = await retry(others[protection]!, key);

      expect(answer).toMatchObject(expected);
      expect(await shops.books.effects(key)).toBe(expectedEffects);
      expect(afterMs).toBeLessThan((waits ? LEASE_MS : 0) + SLACK_MS);
      // The lease may be nearly over when the process is dead, but not sooner than its last third.
      expect(afterMs).toBeGreaterThan(waits ? LEASE_MS / 3 : 0);
      expect(victim.errors()).toBe('');
      console.info(
        `${server.name}, ${strategy} ${name}: ${answer.status} after ${Math.round(afterMs)} ms`,
      );
    },
  );
});
