import { setTimeout as sleep } from 'node:timers/promises';
import { nextMessage } from '../support/child-program.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import type { Arrived } from './support/crash.js';
import { administer, SERVERS, SQL_SERVERS } from './support/servers.js';
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

describe.each(SERVERS)(
  'a process on $name that stands still for longer than its lease',
  (server) => {
    let shops: Shops;
    let zombie: Shop;
    let winner: Shop;

    beforeAll(async () => {
      shops = await Shops.sharing(server);
      [zombie, winner] = await Promise.all([shops.open({ leaseMs: SHORT_LEASE_MS }), shops.open()]);
    }, 60_000);

    afterAll(() => shops?.close());

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
  },
);

/** A lease that is over soon: with a transaction it must not matter. */
const A_MOMENT_MS = 200;

/** The setting by which a server ends transactions in which nothing happens. */
const END_IDLE_TRANSACTIONS = {
  PostgreSQL: [
    "ALTER SYSTEM SET idle_in_transaction_session_timeout = '1s'",
    'SELECT pg_reload_conf()',
  ],
  MariaDB: ['SET GLOBAL idle_transaction_timeout = 1'],
} as const;

describe.each(SQL_SERVERS)('a process on $name that stands still in a transaction', (server) => {
  const RUN = { status: 201, replayed: false };
  const IN_USE = { status: 409, body: { code: 'IDEMPOTENCY_KEY_IN_USE' } };
  let shops: Shops<PrivateServer>;
  let zombie: Shop;
  let other: Shop;

  beforeAll(async () => {
    shops = await Shops.alone(server);
    [zombie, other] = await Promise.all([
      shops.open({ leaseMs: A_MOMENT_MS }),
      shops.open({ leaseMs: A_MOMENT_MS }),
    ]);
  }, 60_000);

  afterAll(() => shops?.close());

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
    await sleep(2 * A_MOMENT_MS);
    expect(await pay(other, payment('kept'))).toMatchObject(IN_USE);
    expect(await shops.books.effects('kept')).toBe(0);

    wake();
    const told = await answer;

    expect(told).toMatchObject({ ...RUN, body: { attempt: 1, pid: zombie.process.pid } });
    const again = await pay(other, payment('kept'));
    expect(again).toMatchObject({ replayed: true, body: told.body });
    expect(await shops.books.effects('kept')).toBe(1);
    expect(zombie.errors()).toBe('');
  });

  it('commits nothing when the server has ended its transaction, and has its client retry', async () => {
    await administer(server.name, shops.server.port, async (dataSource) => {
      for (const statement of END_IDLE_TRANSACTIONS[server.name]) await dataSource.query(statement);
    });
    // Of those that connect from now on.
    zombie = await shops.open();
    const { answer } = await payAndPause('ended');
    const won = await retry(other, payment('ended'));

    wake();

    expect(won).toMatchObject({ ...RUN, body: { attempt: 1, pid: other.process.pid } });
    expect(await answer).toMatchObject({
      status: 503,
      body: { code: 'IDEMPOTENCY_STORE_UNAVAILABLE' },
    });
    for (const shop of [zombie, other]) {
      const again = await pay(shop, payment('ended'));
      expect(again).toMatchObject({ replayed: true, body: won.body });
    }
    expect(await shops.books.effects('ended')).toBe(1);
    expect(zombie.errors()).toBe('');
  }, 90_000);
});
