import { openStore, type OpenStore } from '../processes/support/open-store.js';
import type { SERVERS, Share } from '../processes/support/servers.js';
import { type Child, ChildProgram, end, nextMessage } from '../support/child-program.js';
import { eventually } from '../support/http.js';
import { type Answer, type Ready, STEPS, type Stopped } from './support/order.js';

type Shop = Child<Ready>;

async function throughRoute({ ready }: Shop, key: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/orders`, {
    method: 'POST',
    headers: { connection: 'close', 'Idempotency-Key': key },
  });
  return (await response.json()) as Answer;
}

async function throughProvider({ process }: Shop, key: string): Promise<Answer> {
  const answer = nextMessage<Answer>(process);
  process.send(key);
  return answer;
}

const WAYS = [
  ['of a route', throughRoute],
  ['of a method of a provider', throughProvider],
] as const;

export function describeKilled(servers: typeof SERVERS): void {
  describe.each(servers)(
    'an operation on $name whose process is killed after step 2 of 4',
    (of) => {
      const derivedOf = new Map<string, string>();
      let server: Share;
      let books: OpenStore;
      let program: ChildProgram;
      let victim: Shop;
      let other: Shop;

      const keyOf = (way: string): string => way.replaceAll(' ', '-');

      beforeAll(async () => {
        server = await of.share();
        books = await openStore(of.name, server.url);
        program = await ChildProgram.compile('test/steps/programs/orders.ts');
        [victim, other] = await Promise.all([open('charge'), open('')]);
        for (const [way, place] of WAYS) {
          const stopped = nextMessage<Stopped>(victim.process);
          place(victim, keyOf(way)).catch(() => undefined);
          derivedOf.set(way, (await stopped).derived);
        }
        await end(victim.process);
      }, 60_000);

      afterAll(async () => {
        await program?.stop();
        await books?.close();
        await server?.stop();
      });

      const open = (stopsAfter: (typeof STEPS)[number] | ''): Promise<Shop> =>
        program.start<Ready>({
          SERVER: of.name,
          PLACE: server.url,
          STOPS_AFTER: stopsAfter,
          LEASE_MS: stopsAfter === '' ? '30000' : '1000',
        });

      it.each(WAYS)('%s, is resumed behind it by another process', async (way, place) => {
        const key = keyOf(way);
        let answer: Answer = {};
        await eventually(async () => {
          answer = await place(other, key);
          return answer.code !== 'IDEMPOTENCY_KEY_IN_USE';
        }, 25_000);

        const [first, second] = [victim.process.pid, other.process.pid];
        const derived = derivedOf.get(way);
        const resumed = {
          attempt: 2,
          ranIn: [first, first, second, second],
          areTyped: true,
          derived,
        };
        expect(answer).toEqual(resumed);
        expect(await place(other, key)).toEqual(resumed);
        for (const step of STEPS) expect(await books.effects(`${key} ${step}`)).toBe(1);
      });
    },
  );
}
