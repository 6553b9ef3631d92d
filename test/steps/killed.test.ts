import { openStore, type OpenStore } from '../processes/support/open-store.js';
import { SERVERS } from '../processes/support/servers.js';
import { type Child, ChildProgram, end, nextMessage } from '../support/child-program.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { type Answer, type Ready, STEPS, type Stopped } from './support/order.js';

type Shop = Child<Ready>;

async function throughRoute({ ready }: Shop, key: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/orders`, {
    method: 'POST',
    headers: { 'Idempotency-Key': key },
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

describe.each(SERVERS)('an operation on $name whose process is killed after step 2 of 4', (of) => {
  let server: PrivateServer;
  let books: OpenStore;
  let program: ChildProgram;

  beforeAll(async () => {
    server = await of.start();
    books = await openStore(of.name, server.port);
    program = await ChildProgram.compile('test/steps/programs/orders.ts');
  }, 60_000);

  afterAll(async () => {
    await program?.stop();
    await books?.close();
    await server?.stop();
  });

  const open = (stopsAfter: (typeof STEPS)[number] | ''): Promise<Shop> =>
    program.start<Ready>({
      SERVER: of.name,
      SERVER_PORT: String(server.port),
      STOPS_AFTER: stopsAfter,
      LEASE_MS: '1000',
    });

  it.each(WAYS)('%s, is resumed behind it by another process', async (way, place) => {
    const key = way.replaceAll(' ', '-');
    const [victim, other] = await Promise.all([open('charge'), open('')]);
    const stopped = nextMessage<Stopped>(victim.process);
    place(victim, key).catch(() => undefined);
    const { derived } = await stopped;
    await end(victim.process);

    let answer: Answer = {};
    await eventually(async () => {
      answer = await place(other, key);
      return answer.code !== 'IDEMPOTENCY_KEY_IN_USE';
    }, 15_000);

    const [first, second] = [victim.process.pid, other.process.pid];
    const resumed = { attempt: 2, ranIn: [first, first, second, second], areTyped: true, derived };
    expect(answer).toEqual(resumed);
    expect(await place(other, key)).toEqual(resumed);
    for (const step of STEPS) expect(await books.effects(`${key} ${step}`)).toBe(1);
  });
});
