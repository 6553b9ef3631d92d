import type { Point } from '../processes/support/crash.js';
import { SQL_SERVERS } from '../processes/support/servers.js';
import { end } from '../support/child-program.js';
import { tally } from '../support/engine.js';
import { eventually } from '../support/http.js';
import { Goods, Order } from './support/entities.js';
import {
  type Answer,
  type GoodsShop,
  GoodsShops,
  send,
  sendUpToThePoint,
  type Sent,
} from './support/goods-shop.js';

const PROCESSES = 4;
const CALLERS = 64;
const ROUNDS = 50;

const POINTS: readonly Point[] = [
  'before the claim',
  'after the claim',
  'in the middle of the handler',
  'after the effect',
  'before the commit',
  'after complete',
];

const CHANGED = {
  goods: { name: 'x', version: 2 },
  orders: { note: 'x', status: 'paid' },
};
const UNCHANGED = {
  goods: { name: 'new', version: 1 },
  orders: { note: '', status: 'created' },
};

describe.each(SQL_SERVERS)('rows in $name', (server) => {
  let shops: GoodsShops;
  let processes: GoodsShop[];

  beforeAll(async () => {
    shops = await GoodsShops.on(server);
    processes = await Promise.all(Array.from({ length: PROCESSES }, () => shops.open()));
  }, 60_000);
  afterAll(() => shops?.close());

  /** All callers at once, spread over the processes. */
  async function contend(
    what: 'goods' | 'orders' | 'locked',
    id: number,
    sentBy: (caller: number) => Sent,
  ): Promise<Answer[]> {
    return Promise.all(
      Array.from({ length: CALLERS }, (_, caller) =>
        send(processes[caller % PROCESSES]!, what, id, sentBy(caller)),
      ),
    );
  }

  const goods = (id: number) => shops.dataSource.manager.findOneByOrFail(Goods, { id });
  const order = (id: number) => shops.dataSource.manager.findOneByOrFail(Order, { id });

  describe.each(['goods', 'orders'] as const)('of 64 who want the same change: %s', (what) => {
    it('one makes it, and the others get that reply, or hear that it is being made', async () => {
      for (let round = 0; round < ROUNDS; round++) {
        const id = await shops.add();
        const {
          ran,
          replayed = 0,
          busy = 0,
          ...other
        } = wordsOf(await contend(what, id, () => ({})));
        expect({ ran, duplicates: replayed + busy, other }).toEqual({
          ran: 1,
          duplicates: CALLERS - 1,
          other: {},
        });
        const again = await send(processes[round % PROCESSES]!, what, id);
        expect(again).toMatchObject({ status: 200, replayed: true });
        expect(await (what === 'goods' ? goods(id) : order(id))).toMatchObject(CHANGED[what]);
      }
    }, 120_000);
  });

  it('have one version after 64 different changes, and tell the others that they are stale', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = await shops.add();
      const answers = await contend('goods', id, (caller) => ({ text: `by ${caller}` }));
      expect(wordsOf(answers)).toEqual({
        ran: 1,
        '412 IDEMPOTENCY_VERSION_CONFLICT': CALLERS - 1,
      });
      const winner = answers.findIndex(({ status }) => status === 200);
      expect(await goods(id)).toMatchObject({ name: `by ${winner}`, version: 2 });
    }
  }, 120_000);

  it('have one transition of 64 users, and tell the others of the state', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = await shops.add();
      const answers = await contend('orders', id, (caller) => ({
        text: `by ${caller}`,
        user: `user ${caller}`,
      }));
      expect(wordsOf(answers)).toEqual({ ran: 1, '409 IDEMPOTENCY_STATE_CONFLICT': CALLERS - 1 });
      const winner = answers.findIndex(({ status }) => status === 200);
      expect(await order(id)).toMatchObject({ note: `by ${winner}`, status: 'paid' });
    }
  }, 120_000);

  it('are changed by 64 holders of a lock, one after the other, none of whom starves', async () => {
    for (let round = 0; round < ROUNDS / 10; round++) {
      const id = await shops.add();
      const answers = await contend('locked', id, () => ({}));
      expect(wordsOf(answers)).toEqual({ ran: CALLERS });
      expect((await order(id)).stage).toBe(1 + CALLERS);
    }
  }, 120_000);

  describe.each(['goods', 'orders'] as const)('of a process that was killed: %s', (what) => {
    it.each(POINTS)('%s', async (point) => {
      const id = await shops.add();
      const doomed = await shops.open(point);
      await sendUpToThePoint(doomed, what, id);
      await end(doomed.process);

      const isDone = point === 'after complete';
      const row = () => (what === 'goods' ? goods(id) : order(id));
      expect(await row()).toMatchObject((isDone ? CHANGED : UNCHANGED)[what]);
      let retried: Answer | undefined;
      await eventually(async () => {
        retried = await send(processes[0]!, what, id);
        return retried.code !== 'IDEMPOTENCY_KEY_IN_USE';
      });
      expect(retried).toEqual({ status: 200, replayed: isDone, code: undefined });
      expect(await row()).toMatchObject(CHANGED[what]);
    });
  });
});

function wordsOf(answers: readonly Answer[]): Record<string, number> {
  return tally(
    answers.map(({ status, replayed, code }) => {
      if (code === 'IDEMPOTENCY_KEY_IN_USE') return 'busy';
      if (status !== 200) return `${status} ${code}`;
      return replayed ? 'replayed' : 'ran';
    }),
  );
}
