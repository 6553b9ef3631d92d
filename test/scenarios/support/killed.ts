import { json } from '../../../sample-app/show/demo/visitor.js';
import { DATABASE_KINDS, type DatabaseKind } from '../../sample/support/databases.js';
import { OPENING_MS } from '../../sample/support/shop.js';
import { expectReplay } from '../../sample/support/two-shops.js';
import { KilledShop, LEASE_MS } from './killed-shop.js';
import { Servers, type Shop } from './servers.js';

/** Shops that are killed in the middle of calls; others go on with their records. */
export function describeKilled(given: Record<DatabaseKind['type'], readonly Shop[]>): void {
  describe.each(DATABASE_KINDS)('on $name', (kind) => {
    const shops = given[kind.type];
    const servers = new Servers(kind);
    let all: KilledShop[] = [];

    beforeAll(async () => {
      all = await Promise.all(shops.map((shop) => KilledShop.on(kind, servers, shop)));
    }, OPENING_MS);

    afterAll(async () => {
      await Promise.all(all.map((killed) => killed.close()));
      await servers.stop();
    });

    describe.each(shops)('with records in $records, killed on $http', (shop) => {
      const killed = (): KilledShop => all[shops.indexOf(shop)]!;

      it('S10b: a token is usable again', async () => {
        const { survivor, order } = killed();
        const retry = await survivor.sendUntilAnswered(order);
        expectReplay(retry, await survivor.send(order));
      });

      it('S17: there is one order, whichever attempt has inserted it', async () => {
        const { survivor, order } = killed();
        const { id } = json<{ id: string }>(await survivor.send(order));
        expect(await survivor.read(`/orders/${id}`)).toMatchObject({ id, status: 'created' });
        expect(await survivor.ledger()).toMatchObject({ orders: 1 });
      });

      it('S12: a lock frees itself, and its holder has written nothing', async () => {
        const { survivor, claim } = killed();
        expect(json(await survivor.send(claim))).toEqual({ id: 'spring', no: 1, left: 99 });
      });

      it('S18: the next caller takes over, and knows that it is attempt 2', async () => {
        const { survivor, slow } = killed();
        const retry = await survivor.sendUntilAnswered(slow);
        expect(json(retry)).toEqual({ ms: LEASE_MS, attempt: 2 });
      });

      // With records elsewhere there may be a payment without a record: docs/failure-modes.md.
      if (shop.records === 'the database')
        it('S6: there is a payment with its record, or neither', async () => {
          const { survivor, payment } = killed();
          const retry = await survivor.sendUntilAnswered(payment);
          expectReplay(retry, await survivor.send(payment));
          expect(await survivor.ledger()).toMatchObject({ payments: 1 });
        });
    });
  });
}
