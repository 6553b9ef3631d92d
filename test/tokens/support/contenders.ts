import type { Protection } from '../../processes/support/crash.js';
import type { SERVERS } from '../../processes/support/servers.js';
import {
  type Answer,
  pay,
  type Payment,
  type Shop,
  Shops,
  tokenFrom,
} from '../../processes/support/shops.js';
import { tally } from '../../support/engine.js';

export interface Contest {
  readonly servers: typeof SERVERS;
  readonly processes: number;
  readonly callers: number;
  readonly rounds: number;
}

/** Tests with callers, spread over processes, who all want the same token at once. */
export function describeContenders({ servers, processes: count, callers, rounds }: Contest): void {
  describe.each(servers)(`one token in $name, wanted by ${callers}`, (server) => {
    const protections: Protection[] =
      server.name === 'Redis' ? ['rerun'] : ['rerun', 'transaction'];
    let shops: Shops;
    let processes: Shop[];

    beforeAll(async () => {
      shops = await Shops.sharing(server);
      processes = await Promise.all(Array.from({ length: count }, () => shops.open()));
    }, 120_000);
    afterAll(() => shops?.close());

    /** All of them at once, spread over the processes. */
    async function contend(
      payment: Payment,
      amountOf: (caller: number) => number,
    ): Promise<string[]> {
      const answers = await Promise.all(
        Array.from({ length: callers }, (_, caller) =>
          pay(processes[caller % count]!, { ...payment, amount: amountOf(caller) }),
        ),
      );
      return answers.map(wordFor);
    }

    describe.each(protections)('%s', (protection) => {
      const newPayment = async (round: number): Promise<Payment> => ({
        key: await tokenFrom(processes[round % count]!),
        strategy: 'token',
        protection,
      });

      it('is used once by callers who want the same', async () => {
        for (let round = 0; round < rounds; round++) {
          const payment = await newPayment(round);
          const { ran, replayed = 0, busy = 0, ...other } = tally(await contend(payment, () => 1));
          expect({ ran, duplicates: busy + replayed, other }).toEqual({
            ran: 1,
            duplicates: callers - 1,
            other: {},
          });
          expect(wordFor(await pay(processes[0]!, { ...payment, amount: 1 }))).toBe('replayed');
          expect(await shops.books.effects(payment.key)).toBe(1);
        }
      }, 300_000);

      it('is used once by callers who all want something else', async () => {
        for (let round = 0; round < rounds; round++) {
          const payment = await newPayment(round);
          const { ran, reused = 0, busy = 0, ...other } = tally(await contend(payment, (it) => it));
          expect({ ran, refused: reused + busy, other }).toEqual({
            ran: 1,
            refused: callers - 1,
            other: {},
          });
          expect(await shops.books.effects(payment.key)).toBe(1);
        }
      }, 300_000);
    });
  });
}

function wordFor({ status, replayed, body: { code } }: Answer): string {
  if (code === 'IDEMPOTENCY_KEY_IN_USE') return 'busy';
  if (code === 'IDEMPOTENCY_KEY_REUSED') return 'reused';
  if (status !== 201) return `${status} ${code}`;
  return replayed ? 'replayed' : 'ran';
}
