import type { PrivateServer } from '../support/servers/private-server.js';
import { end } from '../support/child-program.js';
import { eventually } from '../support/http.js';
import { SQL_SERVERS } from './support/servers.js';
import {
  type Answer,
  pay,
  type Payment,
  payUpTo,
  retry,
  SHORT_LEASE_MS,
  type Shop,
  Shops,
  type StandingCall,
} from './support/shops.js';

/** Long enough for a kill of the server to come first. */
const STORE_TIMEOUT_MS = 2_000;
const RUN = { status: 201, replayed: false };
const PENDING = { status: 503, body: { code: 'IDEMPOTENCY_RESULT_PENDING' } };
const HELD = { status: 409, body: { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' } };

/** As a platform does that freezes a process after its answer, and never wakes it up. */
async function freeze({ process }: Shop): Promise<void> {
  process.kill('SIGSTOP');
}

/** Tests with so many calls, answered by a process that is frozen right after it has answered. */
export function describeFrozen({ rounds, calls }: { rounds: number; calls: number }): void {
  describe.each(SQL_SERVERS.filter(({ name }) => name === 'PostgreSQL'))(
    `a process on $name that is frozen after its answer, with onRecordFailure: 'fail'`,
    (server) => {
      let shops: Shops<PrivateServer>;

      beforeAll(async () => {
        shops = await Shops.alone(server);
      }, 60_000);
      afterAll(() => shops?.close());

      const openShop = () =>
        shops.open({ leaseMs: SHORT_LEASE_MS * 5, storeTimeoutMs: STORE_TIMEOUT_MS });
      const paymentsOf = (name: string): Payment[] =>
        Array.from({ length: calls }, (_, call) => ({
          key: `${name}-${call}`,
          protection: 'recorded',
        }));

      it('has one effect and its one reply', async () => {
        const other = await openShop();
        for (let round = 0; round < rounds; round++) {
          const shop = await openShop();
          const payments = paymentsOf(`answered-${round}`);
          const answers = await Promise.all(payments.map((payment) => pay(shop, payment)));
          await freeze(shop);
          for (const [index, payment] of payments.entries()) {
            expect(answers[index]).toMatchObject(RUN);
            expect(await pay(other, payment)).toEqual({ ...answers[index]!, replayed: true });
            expect(await shops.books.effects(payment.key)).toBe(1);
          }
          await end(shop.process);
        }
      }, 300_000);

      it('has one effect, and 503 for its reply, when the server was killed before that', async () => {
        const other = await openShop();
        for (let round = 0; round < rounds; round++) {
          const shop = await openShop();
          const payments = paymentsOf(`killed-${round}`);
          const standing: StandingCall[] = [];
          for (const payment of payments)
            standing.push(await payUpTo('after the effect', shop, payment));
          await shops.server.kill();
          shop.process.send('go on');
          const answers = await Promise.all(standing.map(({ answer }) => answer));
          await freeze(shop);
          await shops.server.restart();
          for (const [index, payment] of payments.entries()) {
            expect(answers[index]).toMatchObject(PENDING);
            expect(await retried(other, payment)).toMatchObject(HELD);
            expect(await effectsOf(payment)).toBe(1);
          }
          await end(shop.process);
        }
      }, 600_000);

      /** As a client that comes back until it is told something else than to do so. */
      async function retried(shop: Shop, payment: Payment): Promise<Answer> {
        let answer: Answer | undefined;
        await eventually(async () => {
          answer = await retry(shop, payment);
          return answer.status !== 503;
        }, 60_000);
        return answer!;
      }

      /** The connections of the test were cut as well. */
      async function effectsOf({ key }: Payment): Promise<number> {
        let effects = 0;
        await eventually(async () => {
          effects = await shops.books.effects(key);
          return true;
        }, 30_000);
        return effects;
      }
    },
  );
}
