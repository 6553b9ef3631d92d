import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { completedOn } from '../support/claims.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import { type Filled, fillSmall, firstCall, replay } from './calls.js';
import { compare, MOST_SLOWDOWN } from './slowdown.js';

const PER_SCRIPT = 50_000;
/** ARGV: first number, last number, ttl in ms. Copies KEYS[1] under ids that look like ours. */
const COPY = `
  local packed = redis.call('GET', KEYS[1])
  for n = tonumber(ARGV[1]), tonumber(ARGV[2]) do
    local id = redis.sha1hex(n) .. string.sub(redis.sha1hex(-n), 1, 24)
    redis.call('SET', 'idempotency:' .. id, packed, 'PX', ARGV[3])
  end`;

interface FilledServer extends Filled {
  readonly client: Redis;
}

async function memoryOf(client: Redis): Promise<number> {
  const [, bytes] = /used_memory:(\d+)/.exec(await client.info('memory'))!;
  return Number(bytes);
}

/** Tests with so many records; `isTimed` where a call that scans them all takes longer by far. */
export function describeMillion({ amount, isTimed }: { amount: number; isTimed: boolean }): void {
  describe(`${amount} records in Redis`, () => {
    const servers: PrivateServer[] = [];
    const pair = {} as { small: FilledServer; large: FilledServer };

    beforeAll(async () => {
      for (const size of ['small', 'large'] as const) {
        const server = await startRedis();
        servers.push(server);
        const client = new Redis(server.port);
        pair[size] = { ...(await fillSmall(new RedisStore({ client }))), client };
      }
      await copy(pair.large, 1, amount - pair.large.ids.length, 86_400_000);
    }, 120_000);

    afterAll(async () => {
      for (const { client } of Object.values(pair)) client.disconnect();
      for (const server of servers) await server.stop();
    });

    async function copy(to: FilledServer, first: number, last: number, ms: number): Promise<void> {
      const { id } = await completedOn(to.store);
      for (let n = first; n <= last; n += PER_SCRIPT) {
        const end = Math.min(n + PER_SCRIPT - 1, last);
        await to.client.eval(COPY, 1, `idempotency:${id}`, n, end, ms);
      }
      // What is forgotten leaves its fencing token behind for a day.
      await to.client.del(`idempotency:${id}`);
    }

    it('are there, and take this much memory', async () => {
      const { client } = pair.large;
      expect(await client.dbsize()).toBe(amount);
      const more = amount - (await pair.small.client.dbsize());
      const bytes = (await memoryOf(client)) - (await memoryOf(pair.small.client));
      console.info(`Redis: ${Math.round(bytes / more)} bytes per record`);
      expect(bytes / more).toBeLessThan(400);
    });

    if (isTimed) {
      it('make a first call no slower', async () => {
        expect(await compare('Redis, first call', pair, firstCall)).toBeLessThan(MOST_SLOWDOWN);
      });

      it('make a replay no slower', async () => {
        expect(await compare('Redis, replay', pair, replay)).toBeLessThan(MOST_SLOWDOWN);
      });
    }

    it('are served by the same commands as a thousand, each of which looks at one key', async () => {
      const commands = async (filled: FilledServer): Promise<Map<string, number>> => {
        // The scripts are known from then on.
        await firstCall(filled);
        await replay(filled);
        await filled.client.config('RESETSTAT');
        await firstCall(filled);
        await replay(filled);
        const stats = await filled.client.info('commandstats');
        const found = stats.matchAll(/^cmdstat_(\w+):calls=(\d+)/gm);
        return new Map([...found].map(([, name, calls]) => [name!, Number(calls)]));
      };
      const used = await commands(pair.large);
      expect(used).toEqual(await commands(pair.small));
      const around = ['config', 'evalsha', 'info'];
      const inScripts = [...used.keys()].filter(
        (name) => !around.some((it) => name.startsWith(it)),
      );
      expect(inScripts.sort()).toEqual(['get', 'pttl', 'set', 'time']);
    });
  });
}
