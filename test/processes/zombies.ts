import { setTimeout as sleep } from 'node:timers/promises';
import { nextMessage } from '../support/child-program.js';
import type { DataSource } from 'typeorm';
import type { Arrived } from './support/crash.js';
import { administer, type SharedServer, SQL_SERVERS } from './support/servers.js';
import {
  type Answer,
  keyOf,
  pay,
  type Payment,
  payUpTo,
  retry,
  SHORT_LEASE_MS,
  type Shop,
  Shops,
} from './support/shops.js';

type EndTransactions = (dataSource: DataSource) => Promise<void>;

/** As a server does by itself with transactions in which nothing happens, if it is set up to. */
const END_TRANSACTIONS: Record<'PostgreSQL' | 'MariaDB', EndTransactions> = {
  PostgreSQL: async (dataSource) => {
    const ended = await dataSource.query<unknown[]>(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
       WHERE datname = current_database() AND state = 'idle in transaction'`,
    );
    expect(ended).toHaveLength(1);
  },
  MariaDB: async (dataSource) => {
    const standing = await dataSource.query<{ id: string }[]>(
      `SELECT id FROM information_schema.processlist WHERE db = database()
       AND id IN (SELECT trx_mysql_thread_id FROM information_schema.innodb_trx)`,
    );
    expect(standing).toHaveLength(1);
    await dataSource.query(`KILL ${standing[0]!.id}`);
  },
};

const RUN = { status: 201, replayed: false };
const IN_USE = { status: 409, body: { code: 'IDEMPOTENCY_KEY_IN_USE' } };

export function describeZombies(rows: readonly SharedServer[]): void {
  describe.each(rows)('a process on $name that stands still', (shared) => {
    let shops: Shops;
    let zombie: Shop;
    let winner: Shop;

    beforeAll(async () => {
      shops = await Shops.sharing(shared);
      [zombie, winner] = await Promise.all([shops.open({ leaseMs: SHORT_LEASE_MS }), shops.open()]);
    }, 60_000);

    afterAll(() => shops?.close());

    describe('for longer than its lease', () => {
      it.each([
        ['has finished', undefined],
        ['is at work', 'in the middle of the handler'],
      ] as const)(
        'tells its client what became of the operation when another %s',
        async (_name, stopsAt) => {
          const payment = { key: keyOf(`zombie, ${stopsAt}`) };
          const { answer } = await payUpTo('in the middle of the handler', zombie, payment);
          zombie.process.kill('SIGSTOP');
          const takenOver = stopsAt && nextMessage<Arrived>(winner.process);
          const winning = retry(winner, payment, stopsAt);
          await (takenOver ?? winning);

          zombie.process.kill('SIGCONT');
          zombie.process.send('go on');
          const told = await answer;
          if (stopsAt !== undefined) winner.process.send('go on');
          const won = await winning;

          expect(won).toMatchObject({
            status: 201,
            replayed: false,
            body: { attempt: 2, pid: winner.process.pid },
          });
          expect(told).toMatchObject(
            stopsAt === undefined
              ? { status: 201, body: won.body }
              : { status: 409, body: { code: 'IDEMPOTENCY_KEY_IN_USE' } },
          );
          for (const shop of [zombie, winner]) {
            const again = await pay(shop, payment);
            expect(again).toMatchObject({ status: 201, replayed: true, body: won.body });
          }
          expect(zombie.errors()).toBe('');
        },
        90_000,
      );
    });

    const server = SQL_SERVERS.find(({ name }) => name === shared.name);
    if (server === undefined) return;

    describe('in a transaction', () => {
      const payment = (key: string): Payment => ({ key, protection: 'transaction' });

      async function payAndPause(key: string): Promise<{ answer: Promise<Answer> }> {
        const call = await payUpTo('after the effect', zombie, payment(key));
        zombie.process.kill('SIGSTOP');
        return call;
      }

      function wake(): void {
        zombie.process.kill('SIGCONT');
        zombie.process.send('go on');
      }

      it('keeps the record for as long as its connection lives, and ends as the only owner', async () => {
        const { answer } = await payAndPause('kept');
        await sleep(2 * SHORT_LEASE_MS);
        expect(await pay(winner, payment('kept'))).toMatchObject(IN_USE);
        expect(await shops.books.effects('kept')).toBe(0);

        wake();
        const told = await answer;

        expect(told).toMatchObject({ ...RUN, body: { attempt: 1, pid: zombie.process.pid } });
        const again = await pay(winner, payment('kept'));
        expect(again).toMatchObject({ replayed: true, body: told.body });
        expect(await shops.books.effects('kept')).toBe(1);
        expect(zombie.errors()).toBe('');
      });

      it('commits nothing when the server has ended its transaction, and has its client retry', async () => {
        const { answer } = await payAndPause('ended');
        await administer(server.name, shops.server.url, END_TRANSACTIONS[server.name]);
        const won = await retry(winner, payment('ended'));

        wake();

        expect(won).toMatchObject({ ...RUN, body: { attempt: 1, pid: winner.process.pid } });
        expect(await answer).toMatchObject({
          status: 503,
          body: { code: 'IDEMPOTENCY_STORE_UNAVAILABLE' },
        });
        for (const shop of [zombie, winner]) {
          const again = await pay(shop, payment('ended'));
          expect(again).toMatchObject({ replayed: true, body: won.body });
        }
        expect(await shops.books.effects('ended')).toBe(1);
        expect(zombie.errors()).toContain('could not be committed');
      }, 90_000);
    });
  });
}
