import { Redis } from 'ioredis';
import { type Child, ChildProgram, end, nextMessage } from '../support/child-program.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { eventually } from '../support/http.js';
import type { Arrived, Paid, Point, Ready } from './support/crash.js';

const LEASE_MS = 1_000;
/** What a busy machine may add. */
const SLACK_MS = 2_000;

type Shop = Child<Ready>;
type Decision = 'rerun' | 'hold';

interface Answer {
  readonly status: number;
  readonly replayed: boolean;
  readonly body: Partial<Paid> & { readonly code?: string };
}

let server: PrivateServer;
let client: Redis;
let program: ChildProgram;

beforeAll(async () => {
  server = await startRedis();
  client = new Redis(server.port);
  program = await ChildProgram.compile('test/redis/programs/shop.ts');
}, 60_000);

afterAll(async () => {
  await program?.stop();
  client?.disconnect();
  await server?.stop();
});

function open(onAbandoned: Decision, stopsAt: Point | '' = ''): Promise<Shop> {
  return program.start<Ready>({
    REDIS_PORT: String(server.port),
    STOPS_AT: stopsAt,
    ON_ABANDONED: onAbandoned,
    LEASE_MS: String(LEASE_MS),
  });
}

async function pay({ ready }: Shop, key: string): Promise<Answer> {
  const response = await fetch(`http://127.0.0.1:${ready.port}/payments`, {
    method: 'POST',
    headers: { 'Idempotency-Key': key },
  });
  return {
    status: response.status,
    replayed: response.headers.get('idempotent-replayed') === 'true',
    body: (await response.json()) as Answer['body'],
  };
}

/** Calls, and resolves when the call has come to the point at which its process stops. */
async function payUpToThePoint(shop: Shop, key: string): Promise<{ answer: Promise<Answer> }> {
  const arrived = nextMessage<Arrived>(shop.process);
  const answer = pay(shop, key);
  // The process may be killed before it answers.
  answer.catch(() => undefined);
  await Promise.race([
    arrived,
    answer.then(({ status }) => Promise.reject(new Error(`answered ${status} instead`))),
  ]);
  return { answer };
}

/** Repeats the call as a client would, until it is told something else than to come back. */
async function retry(shop: Shop, key: string): Promise<Answer & { readonly afterMs: number }> {
  const startedAt = performance.now();
  let answer: Answer | undefined;
  await eventually(async () => {
    answer = await pay(shop, key);
    return answer.body.code !== 'IDEMPOTENCY_KEY_IN_USE';
  }, 10_000);
  return { ...answer!, afterMs: performance.now() - startedAt };
}

const keyOf = (text: string): string => text.replaceAll(/\W+/g, '-');

const effects = async (key: string): Promise<number> => Number(await client.get(`effects:${key}`));

const RUN_1 = { status: 201, replayed: false, body: { attempt: 1 } };
const RUN_2 = { status: 201, replayed: false, body: { attempt: 2 } };
const REPLAY = { status: 201, replayed: true, body: { attempt: 1 } };
const HELD = { status: 409, replayed: false, body: { code: 'IDEMPOTENCY_OUTCOME_UNKNOWN' } };

/** What docs/stores.md promises; `effects` when the retry has been answered. */
const MATRIX: readonly [Point, Decision, effects: number, retry: object, waits: boolean][] = [
  ['before the claim', 'rerun', 1, RUN_1, false],
  ['before the claim', 'hold', 1, RUN_1, false],
  ['after the claim', 'rerun', 1, RUN_2, true],
  ['after the claim', 'hold', 0, HELD, true],
  ['in the middle of the handler', 'rerun', 1, RUN_2, true],
  ['in the middle of the handler', 'hold', 0, HELD, true],
  ['after the effect', 'rerun', 2, RUN_2, true],
  ['after the effect', 'hold', 1, HELD, true],
  ['after complete', 'rerun', 1, REPLAY, false],
  ['after complete', 'hold', 1, REPLAY, false],
];

describe('a process that is killed', () => {
  let others: Record<Decision, Shop>;

  beforeAll(async () => {
    const [rerun, hold] = await Promise.all([open('rerun'), open('hold')]);
    others = { rerun, hold };
  });

  it.each(MATRIX)(
    '%s, with %s: the effect happened %d times when the retry is answered',
    async (point, decision, expectedEffects, expected, waits) => {
      const key = keyOf(`${point}, ${decision}`);
      const victim = await open(decision, point);
      await payUpToThePoint(victim, key);
      await end(victim.process);

      const { afterMs, ...answer } = await retry(others[decision], key);

      expect(answer).toMatchObject(expected);
      expect(await effects(key)).toBe(expectedEffects);
      expect(afterMs).toBeLessThan((waits ? LEASE_MS : 0) + SLACK_MS);
      // The lease may be nearly over when the process is dead, but not sooner than its last third.
      expect(afterMs).toBeGreaterThan(waits ? LEASE_MS / 3 : 0);
      expect(victim.errors()).toBe('');
      console.info(`killed ${key}: ${answer.status} after ${Math.round(afterMs)} ms`);
    },
  );
});

describe('a process that stands still for longer than its lease', () => {
  it.each([
    ['has finished', '' as const],
    ['is at work', 'in the middle of the handler' as const],
  ])('tells its client what became of the operation when another %s', async (_name, stopsAt) => {
    const key = keyOf(`zombie, ${stopsAt}`);
    const [zombie, winner] = await Promise.all([
      open('rerun', 'in the middle of the handler'),
      open('rerun', stopsAt),
    ]);
    const { answer } = await payUpToThePoint(zombie, key);
    zombie.process.kill('SIGSTOP');
    const takenOver = stopsAt === '' ? undefined : nextMessage<Arrived>(winner.process);
    const winning = retry(winner, key);
    await (takenOver ?? winning);

    zombie.process.kill('SIGCONT');
    zombie.process.send('go on');
    const told = await answer;
    if (stopsAt !== '') winner.process.send('go on');
    const won = await winning;

    expect(won).toMatchObject({ ...RUN_2, body: { attempt: 2, pid: winner.process.pid } });
    expect(told).toMatchObject(
      stopsAt === ''
        ? { status: 201, body: won.body }
        : { status: 409, body: { code: 'IDEMPOTENCY_KEY_IN_USE' } },
    );
    for (const shop of [zombie, winner]) {
      expect(await pay(shop, key)).toMatchObject({ status: 201, replayed: true, body: won.body });
    }
    expect(zombie.errors()).toBe('');
  });
});
