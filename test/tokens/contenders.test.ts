import { tally } from '../support/engine.js';
import type { Protection } from '../processes/support/crash.js';
import { REDIS, SQL_SERVERS } from '../processes/support/servers.js';
import { type Answer, pay, type Shop, Shops, tokenFrom } from '../processes/support/shops.js';

const PROCESSES = 4;
const CALLERS = 64;
const ROUNDS = 50;
/** Nobody dies here: a machine that is busy must not look like it. */
const PATIENCE = 30;

const CASES = [
  { server: REDIS, protection: 'rerun' as Protection },
  ...SQL_SERVERS.flatMap((server) =>
    (['rerun', 'transaction'] as Protection[]).map((protection) => ({ server, protection })),
  ),
];

describe.each(CASES)('one token in $server.name, $protection, wanted by 64', (given) => {
  let shops: Shops;
  let processes: Shop[];

  beforeAll(async () => {
    shops = await Shops.on(given.server, 'token');
    processes = await Promise.all(
      Array.from({ length: PROCESSES }, () => shops.open(given.protection, '', PATIENCE)),
    );
  }, 60_000);
  afterAll(() => shops?.close());

  /** All of them at once, spread over the processes. */
  async function contend(token: string, amountOf: (caller: number) => number): Promise<string[]> {
    const answers = await Promise.all(
      Array.from({ length: CALLERS }, (_, caller) =>
        pay(processes[caller % PROCESSES]!, token, amountOf(caller)),
      ),
    );
    return answers.map(wordFor);
  }

  it('is used once by callers who want the same', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const token = await tokenFrom(processes[round % PROCESSES]!);
      const { ran, replayed = 0, busy = 0, ...other } = tally(await contend(token, () => 1));
      expect({ ran, duplicates: busy + replayed, other }).toEqual({
        ran: 1,
        duplicates: CALLERS - 1,
        other: {},
      });
      expect(await contend(token, () => 1)).toContain('replayed');
      expect(await shops.books.effects(token)).toBe(1);
    }
  }, 120_000);

  it('is used once by callers who all want something else', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const token = await tokenFrom(processes[round % PROCESSES]!);
      const { ran, reused = 0, busy = 0, ...other } = tally(await contend(token, (one) => one));
      expect({ ran, refused: reused + busy, other }).toEqual({
        ran: 1,
        refused: CALLERS - 1,
        other: {},
      });
      expect(await shops.books.effects(token)).toBe(1);
    }
  }, 120_000);
});

function wordFor({ status, replayed, body: { code } }: Answer): string {
  if (code === 'IDEMPOTENCY_KEY_IN_USE') return 'busy';
  if (code === 'IDEMPOTENCY_KEY_REUSED') return 'reused';
  if (status !== 201) return `${status} ${code}`;
  return replayed ? 'replayed' : 'ran';
}
