import type { Point } from '../processes/support/crash.js';
import type { SQL_SERVERS } from '../processes/support/servers.js';
import { end } from '../support/child-program.js';
import { eventually } from '../support/http.js';
import { CHANGED } from './support/contenders.js';
import { Goods, Order } from './support/entities.js';
import { type Answer, type GoodsShop, GoodsShops, send, sendUpTo } from './support/goods-shop.js';

const POINTS: readonly Point[] = [
  'before the claim',
  'after the claim',
  'in the middle of the handler',
  'after the effect',
  'before the commit',
  'after complete',
];
const ROWS = ['goods', 'orders'] as const;
const UNCHANGED = {
  goods: { name: 'new', version: 1 },
  orders: { note: '', status: 'created' },
};

export function describeKilledContenders(rows: readonly (typeof SQL_SERVERS)[number][]): void {
  describe.each(rows)('rows in $name of a process that was killed', (server) => {
    const ids = new Map<string, number>();
    let shops: GoodsShops;
    let other: GoodsShop;

    /** One process with all of the calls, each at its point. */
    beforeAll(async () => {
      shops = await GoodsShops.on(server);
      const [victim, survivor] = await Promise.all([shops.open(), shops.open()]);
      other = survivor;
      for (const what of ROWS)
        for (const point of POINTS) {
          const id = await shops.add();
          await sendUpTo(point, victim, what, id);
          ids.set(`${what} ${point}`, id);
        }
      await end(victim.process);
    }, 120_000);
    afterAll(() => shops?.close());

    describe.each(ROWS)('%s', (what) => {
      it.each(POINTS)(
        '%s',
        async (point) => {
          const id = ids.get(`${what} ${point}`)!;
          const row = () =>
            shops.dataSource.manager.findOneByOrFail<object>(what === 'goods' ? Goods : Order, {
              id,
            });
          const isDone = point === 'after complete';
          expect(await row()).toMatchObject((isDone ? CHANGED : UNCHANGED)[what]);
          let retried: Answer | undefined;
          await eventually(async () => {
            retried = await send(other, what, id);
            return retried.code !== 'IDEMPOTENCY_KEY_IN_USE';
          }, 30_000);
          expect(retried).toEqual({ status: 200, replayed: isDone, code: undefined });
          expect(await row()).toMatchObject(CHANGED[what]);
        },
        60_000,
      );
    });
  });
}
