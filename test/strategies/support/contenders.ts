import { setTimeout as sleep } from 'node:timers/promises';
import type { SQL_SERVERS } from '../../processes/support/servers.js';
import { tally } from '../../support/engine.js';
import { eventually } from '../../support/http.js';
import { Goods, Order } from './entities.js';
import { type Answer, type GoodsShop, GoodsShops, send, type Sent } from './goods-shop.js';

export interface Contest {
  readonly servers: typeof SQL_SERVERS;
  readonly processes: number;
  readonly callers: number;
  readonly rounds: number;
}

/** How many connections of this database wait for a lock. */
const WAITING = {
  PostgreSQL: `SELECT count(*) AS waiting FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'`,
  MariaDB: `SELECT count(*) AS waiting FROM information_schema.innodb_trx
    JOIN information_schema.processlist ON processlist.id = trx_mysql_thread_id
    WHERE trx_state = 'LOCK WAIT' AND db = database()`,
};

export const CHANGED = {
  goods: { name: 'x', version: 2 },
  orders: { note: 'x', status: 'paid' },
};

/** Tests with callers, spread over processes, who all change the same row at once. */
export function describeContenders({ servers, processes: count, callers, rounds }: Contest): void {
  describe.each(servers)('rows in $name', (server) => {
    let shops: GoodsShops;
    let processes: GoodsShop[];

    beforeAll(async () => {
      shops = await GoodsShops.on(server);
      processes = await Promise.all(Array.from({ length: count }, () => shops.open()));
    }, 120_000);
    afterAll(() => shops?.close());

    /** All callers at once, spread over the processes; so many of them meet at the row. */
    async function contend(
      what: 'goods' | 'orders' | 'locked',
      id: number,
      meeting: number,
      sentBy: (caller: number) => Sent,
    ): Promise<Answer[]> {
      const open = await closeGate(what, id);
      const answers = Promise.all(
        Array.from({ length: callers }, (_, caller) =>
          send(processes[caller % count]!, what, id, sentBy(caller)),
        ),
      );
      try {
        await eventually(async () => (await waiting()) >= meeting, 60_000);
      } finally {
        await open();
      }
      return answers;
    }

    async function waiting(): Promise<number> {
      // MariaDB looks again only where nobody has asked for a while.
      await sleep(150);
      const [row] = await shops.dataSource.query<[{ waiting: string }]>(WAITING[server.name]);
      return Number(row.waiting);
    }

    /** Nobody gets past the row before it is opened. */
    async function closeGate(what: 'goods' | 'orders' | 'locked', id: number) {
      const gate = shops.dataSource.createQueryRunner();
      await gate.startTransaction();
      const table = what === 'goods' ? 'goods' : 'orders';
      await gate.query(`SELECT id FROM ${table} WHERE id = ${id} FOR UPDATE`);
      return async () => {
        await gate.commitTransaction();
        await gate.release();
      };
    }

    const goods = (id: number) => shops.dataSource.manager.findOneByOrFail(Goods, { id });
    const order = (id: number) => shops.dataSource.manager.findOneByOrFail(Order, { id });

    describe.each(['goods', 'orders'] as const)(
      `of ${callers} who want the same change: %s`,
      (what) => {
        it('one makes it, and the others get that reply, or hear that it is being made', async () => {
          for (let round = 0; round < rounds; round++) {
            const id = await shops.add();
            const answers = await contend(what, id, 1, () => ({}));
            const { ran, replayed = 0, busy = 0, ...other } = wordsOf(answers);
            expect({ ran, duplicates: replayed + busy, other }).toEqual({
              ran: 1,
              duplicates: callers - 1,
              other: {},
            });
            const again = await send(processes[round % count]!, what, id);
            expect(again).toMatchObject({ status: 200, replayed: true });
            expect(await (what === 'goods' ? goods(id) : order(id))).toMatchObject(CHANGED[what]);
          }
        }, 300_000);
      },
    );

    it(`have one version after ${callers} different changes, and tell the others that they are stale`, async () => {
      for (let round = 0; round < rounds; round++) {
        const id = await shops.add();
        const sentBy = (caller: number) => ({ text: `by ${caller}` });
        const answers = await contend('goods', id, count, sentBy);
        expect(wordsOf(answers)).toEqual({
          ran: 1,
          '412 IDEMPOTENCY_VERSION_CONFLICT': callers - 1,
        });
        const winner = answers.findIndex(({ status }) => status === 200);
        expect(await goods(id)).toMatchObject({ name: `by ${winner}`, version: 2 });
      }
    }, 300_000);

    it(`have one transition of ${callers} users, and tell the others of the state`, async () => {
      for (let round = 0; round < rounds; round++) {
        const id = await shops.add();
        const sentBy = (caller: number) => ({ text: `by ${caller}`, user: `user ${caller}` });
        const answers = await contend('orders', id, count, sentBy);
        expect(wordsOf(answers)).toEqual({ ran: 1, '409 IDEMPOTENCY_STATE_CONFLICT': callers - 1 });
        const winner = answers.findIndex(({ status }) => status === 200);
        expect(await order(id)).toMatchObject({ note: `by ${winner}`, status: 'paid' });
      }
    }, 300_000);

    it(`are changed by ${callers} holders of a lock, one after the other, none of whom starves`, async () => {
      for (let round = 0; round < Math.ceil(rounds / 10); round++) {
        const id = await shops.add();
        const answers = await contend('locked', id, 1, () => ({}));
        expect(wordsOf(answers)).toEqual({ ran: callers });
        expect((await order(id)).stage).toBe(1 + callers);
      }
    }, 300_000);
  });
}

function wordsOf(answers: readonly Answer[]): Record<string, number> {
  return tally(
    answers.map(({ status, replayed, code }) => {
      if (code === 'IDEMPOTENCY_KEY_IN_USE') return 'busy';
      if (status !== 200) return `${status} ${code}`;
      return replayed ? 'replayed' : 'ran';
    }),
  );
}
