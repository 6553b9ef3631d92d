import assert from 'node:assert';
import { expectReplayed, expectStatus, newKey } from '../expect.js';
import type { Scenario } from '../scenario.js';
import { json, type Call, type Reply } from '../visitor.js';

const takeThree = (): Call => ({
  path: '/goods/1/decrement',
  headers: newKey(),
  body: { by: 3 },
});

const categorize: Call = { method: 'PUT', path: '/goods/1/categories/7' };

const stock = (reply: Reply): unknown => json(reply).stock;

export const goods: readonly Scenario[] = [
  {
    id: 'S2',
    title: 'stock taken, reply lost, retried 5 times',
    route: 'POST /goods/:id/decrement',
    runs: 2,
    async play(visitor) {
      const call = takeThree();
      await visitor.loseReply(call, this.route);
      const retries = [await visitor.sendUntilAnswered(call)];
      while (retries.length < 5) retries.push(await visitor.send(call));
      expectReplayed(...retries);
      // A second operation shows what the first one left behind.
      const next = await visitor.send(takeThree());
      assert.equal(stock(next), Number(stock(retries[0]!)) - 3, 'stock fell more than once');
      return [retries];
    },
  },
  {
    id: 'S7',
    title: 'goods put into a category again',
    route: 'PUT /goods/:id/categories/:categoryId',
    runs: 4,
    async play(visitor) {
      await visitor.loseReply(categorize, this.route);
      const { goods_categories: before } = await visitor.ledger();
      const again = await visitor.sendAtOnce(categorize, 3);
      expectStatus(200, ...again);
      for (const reply of again) assert.deepEqual(json(reply), { inserted: false });
      const { goods_categories: after } = await visitor.ledger();
      assert.equal(after, before, 'left another row');
      return [again];
    },
  },
];
