import { once } from 'node:events';
import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { createTables } from '../../../sample-app/shop/setup/database/create-tables.js';
import { newKey } from '../../../sample-app/show/demo/expect.js';
import { isInUse } from '../../../sample-app/show/demo/visitor.js';
import { Payment } from '../../../sample-app/shop/payments/payment.entity.js';
import { Vote } from '../../../sample-app/shop/votes/vote.entity.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { createDatabase, type DatabaseKind, whileLocked } from './databases.js';
import { OPENING_MS } from './shop.js';
import { expectReplay, payment, TwoShops } from './two-shops.js';

export function describeOneDatabase(kind: DatabaseKind): void {
  describe(`two shops with one ${kind.name}`, () => {
    const { type, start, url } = kind;
    let server: PrivateServer;
    let shops: TwoShops;

    beforeAll(async () => {
      server = await start();
      shops = await TwoShops.open({ DATABASE_URL: url(server.port) });
    }, OPENING_MS);

    afterAll(async () => {
      await shops?.close();
      await server?.stop();
    });

    const rows = async (): Promise<number> => (await shops.visitors[1].ledger()).payments!;

    it('make the tables once, however many of them start at the same time', async () => {
      const there = await createDatabase(kind, server.port, 'crowded');
      const options = { type, migrations: [CreateIdempotencyRecords1763700000000] };
      const crowd = Array.from({ length: 4 }, () => {
        return new DataSource({ ...options, url: there, entities: [Payment, Vote] });
      });
      try {
        await Promise.all(crowd.map((dataSource) => dataSource.initialize()));
        await Promise.all(crowd.map(createTables));
        expect(await crowd[0]!.query('SELECT id FROM idempotency_records')).toEqual([]);
      } finally {
        await Promise.all(crowd.map((dataSource) => dataSource.destroy()));
      }
    });

    it('have the same tables, which they made at the same time', async () => {
      const ledgers = await Promise.all(shops.visitors.map((visitor) => visitor.ledger()));
      const empty = {
        comments: 0,
        coupons: 0,
        goods: 5,
        goods_categories: 0,
        imported_rows: 0,
        orders: 0,
        payments: 0,
        reports: 0,
        sms: 0,
        transfers: 0,
        votes: 0,
      };
      expect(ledgers).toEqual([empty, empty]);
    });

    it('answer a retry at the other one from the record', async () => {
      const [here, there] = shops.visitors;
      const key = newKey();
      const before = await rows();
      expectReplay(await here.send(payment(key)), await there.send(payment(key)));
      expect(await rows()).toBe(before + 1);
    });

    it('take one of forty simultaneous payments', async () => {
      const call = payment(newKey());
      const before = await rows();
      const replies = await shops.sendToBoth(call, 20);
      const answered = replies.filter((reply) => !isInUse(reply));
      const again = await Promise.all(shops.visitors.map((one) => one.sendUntilAnswered(call)));

      const texts = [...answered, ...again].map(({ status, body }) => `${status} ${String(body)}`);
      expect(new Set(texts).size).toBe(1);
      expect(answered[0]).toMatchObject({ status: 201 });
      expect(await rows()).toBe(before + 1);
    });

    it('take stock once, wherever the call is repeated', async () => {
      const [here, there] = shops.visitors;
      const call = { path: '/goods/1/decrement', headers: newKey(), body: { by: 3 } };
      const first = await here.send(call);
      expectReplay(first, await there.send(call));
      expect(JSON.parse(String(first.body))).toEqual({ id: 1, stock: 997 });
    });

    it('leave nothing of a payment in which one is killed, and take it at the other', async () => {
      const [here, there] = shops.visitors;
      const [{ process: victim }] = shops.processes;
      const call = payment(newKey());
      const before = await rows();

      // Every payment waits at its own row meanwhile.
      await whileLocked(kind, url(server.port), ['payments'], async () => {
        const gone = once(victim, 'exit');
        await here.loseReply(call, 'POST /payments');
        expect((await there.send(call)).status).toBe(409);
        victim.kill('SIGKILL');
        await gone;
      });
      const retry = await there.sendUntilAnswered(call);

      expectReplay(retry, await there.send(call));
      expect(await rows()).toBe(before + 1);
    });

    it('close cleanly', async () => {
      expect(await shops.close()).toEqual([0]);
    });
  });
}
