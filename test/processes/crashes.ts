import { end } from '../support/child-program.js';
import type { Point, Protection, Strategy } from './support/crash.js';
import {
  type AnyServer,
  keyOf,
  type Payment,
  payUpTo,
  retry,
  type Shop,
  Shops,
  tokenFrom,
} from './support/shops.js';

/** Of the process that is killed; it must be able to make four calls within it. */
const LEASE_MS = 3_000;
/** Of how each of the three clocks in play cuts off its times. */
const ROUNDING_MS = 5;

const RUN_1 = { status: 201, replayed: false, body: { attempt: 1 } };
const RUN_2 = { status: 201, replayed: false, body: { attempt: 2 } };
const REPLAY = { status: 201, replayed: true, body: { attempt: 1 } };
const HELD = { status: 409, replayed: false, body: { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' } };

/** What is on record when the process is gone; `effects` when the retry has been answered. */
type Row = readonly [
  Point,
  Protection,
  effects: number,
  retry: object,
  left: 'in-flight' | 'completed' | undefined,
];

/** What docs/failure-modes.md promises. */
const LEASED: readonly Row[] = [
  ['before the claim', 'rerun', 1, RUN_1, undefined],
  ['before the claim', 'hold', 1, RUN_1, undefined],
  ['after the claim', 'rerun', 1, RUN_2, 'in-flight'],
  ['after the claim', 'hold', 0, HELD, 'in-flight'],
  ['in the middle of the handler', 'rerun', 1, RUN_2, 'in-flight'],
  ['in the middle of the handler', 'hold', 0, HELD, 'in-flight'],
  ['after the effect', 'rerun', 2, RUN_2, 'in-flight'],
  ['after the effect', 'hold', 1, HELD, 'in-flight'],
  ['after complete', 'rerun', 1, REPLAY, 'completed'],
  ['after complete', 'hold', 1, REPLAY, 'completed'],
];

const IN_ONE_TRANSACTION: readonly Row[] = [
  ['before the claim', 'transaction', 1, RUN_1, undefined],
  ['after the claim', 'transaction', 1, RUN_1, undefined],
  ['in the middle of the handler', 'transaction', 1, RUN_1, undefined],
  ['after the effect', 'transaction', 1, RUN_1, undefined],
  ['before the commit', 'transaction', 1, RUN_1, undefined],
  ['after complete', 'transaction', 1, REPLAY, 'completed'],
];

/** A token is a key like any other: no boundary at which a process dies burns it. */
const STRATEGIES = ['unique-key', 'token'] as const satisfies readonly Strategy[];

export function describeCrashes(rows: readonly AnyServer[]): void {
  describe.each(rows)('a process on $name that is killed in the middle of its calls', (server) => {
    const rows = server.name === 'Redis' ? LEASED : [...LEASED, ...IN_ONE_TRANSACTION];
    const standing = new Map<string, { payment: Payment; id: string }>();
    let shops: Shops;
    let other: Shop;
    let complaints: string;

    const nameOf = (...parts: readonly string[]): string => keyOf(parts.join(', '));

    /** One process with all of the calls, each at its point. */
    beforeAll(async () => {
      shops = await Shops.sharing(server);
      const [victim, survivor] = await Promise.all([
        shops.open({ leaseMs: LEASE_MS, poolSize: 2 * IN_ONE_TRANSACTION.length + 10 }),
        shops.open(),
      ]);
      other = survivor;
      const all = STRATEGIES.flatMap((strategy) =>
        rows.map(([point, protection]) => ({ strategy, point, protection })),
      );
      const isLast = ({ point }: { point: Point }): boolean => point === 'after the claim';
      for (const { strategy, point, protection } of [
        ...all.filter((call) => !isLast(call)),
        // A claim that is not answered within a lease is given back: the end comes before that.
        ...all.filter(isLast),
      ]) {
        const name = nameOf(strategy, protection, point);
        const key = strategy === 'token' ? await tokenFrom(other) : name;
        const payment = { key, strategy, protection };
        const { id } = await payUpTo(point, victim, payment);
        standing.set(name, { payment, id });
      }
      await end(victim.process);
      complaints = victim.errors();
    }, 120_000);

    afterAll(() => shops?.close());

    it('had nothing to say', () => {
      expect(complaints).toBe('');
    });

    describe.each(STRATEGIES)('%s', (strategy) => {
      it.each(rows)(
        '%s, with %s: the effect happened %d times when the retry is answered',
        async (point, protection, expectedEffects, expected, left) => {
          const { payment, id } = standing.get(nameOf(strategy, protection, point))!;
          const isIssued = strategy === 'token' && left === undefined;
          const abandoned = await shops.books.store.find(id);
          expect(abandoned?.state).toBe(isIssued ? 'issued' : left);

          const answer = await retry(other, payment);

          expect(answer).toMatchObject(expected);
          expect(await shops.books.effects(payment.key)).toBe(expectedEffects);
          if (expected !== RUN_2) return;
          // By the clock of the server, which both tokens are of: the lease had run out.
          const apartUs = answer.body.fencingToken! - abandoned!.fencingToken;
          expect(apartUs).toBeGreaterThan((LEASE_MS - ROUNDING_MS) * 1_000);
        },
        90_000,
      );
    });
  });
}
