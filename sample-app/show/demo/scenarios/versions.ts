import assert from 'node:assert';
import { expectRefused, expectReplayed, expectStatus } from '../expect.js';
import type { Scenario } from '../scenario.js';
import type { Call, Visitor } from '../visitor.js';

const rename = (goods: number, version: number, name: string): Call => ({
  method: 'PUT',
  path: `/goods/${goods}`,
  headers: { 'If-Match': `"${version}"` },
  body: { name },
});

const renameTo = (goods: number, version: number, name: string): Call => ({
  method: 'PUT',
  path: `/goods/${goods}/name`,
  body: { name, version },
});

const read = (
  visitor: Visitor,
  goods: number,
): Promise<{ readonly name: string; readonly version: number }> => visitor.read(`/goods/${goods}`);

export const versions: readonly Scenario[] = [
  {
    id: 'S8a',
    title: 'names that arrive in the wrong order',
    route: 'PUT /goods/:id/name',
    runs: 1,
    async play(visitor) {
      const { version } = await read(visitor, 2);
      const latest = renameTo(2, version + 5, 'the latest');
      const first = await visitor.sendUntilAnswered(latest);
      expectStatus(200, first);
      for (const older of [version + 4, version])
        expectRefused(
          await visitor.sendUntilAnswered(renameTo(2, older, 'older')),
          409,
          'IDEMPOTENCY_VERSION_CONFLICT',
        );
      const again = await visitor.sendUntilAnswered(latest);
      expectReplayed(again);
      const { name, version: now } = await read(visitor, 2);
      assert.deepEqual({ name, now }, { name: 'the latest', now: version + 5 });
      return [[first, again]];
    },
  },
  {
    id: 'S8b',
    title: 'renamed at a version, reply lost, retried',
    route: 'PUT /goods/:id',
    runs: 1,
    async play(visitor) {
      const { version } = await read(visitor, 3);
      const call = rename(3, version, 'the winner');
      await visitor.loseReply(call, this.route);
      const retries = [
        await visitor.sendUntilAnswered(call),
        await visitor.sendUntilAnswered(call),
      ];
      expectStatus(200, ...retries);
      expectReplayed(...retries);
      for (const { headers } of retries) assert.equal(headers.etag, `"${version + 1}"`);
      const stale = await visitor.sendUntilAnswered(rename(3, version, 'too late'));
      expectRefused(stale, 412, 'IDEMPOTENCY_VERSION_CONFLICT');
      return [retries];
    },
  },
  {
    id: 'S20',
    title: '20 different names at one version at once',
    route: 'PUT /goods/:id',
    runs: 1,
    async play(visitor) {
      const { version } = await read(visitor, 4);
      const calls = Array.from({ length: 20 }, (_, writer) => rename(4, version, `name ${writer}`));
      const replies = await Promise.all(calls.map((call) => visitor.sendUntilAnswered(call)));
      const winner = replies.findIndex(({ status }) => status === 200);
      for (const stale of replies.toSpliced(winner, 1))
        expectRefused(stale, 412, 'IDEMPOTENCY_VERSION_CONFLICT');
      const { name, version: now } = await read(visitor, 4);
      assert.deepEqual({ name, now }, { name: `name ${winner}`, now: version + 1 });
      const again = await visitor.sendUntilAnswered(calls[winner]!);
      expectReplayed(again);
      return [[replies[winner]!, again]];
    },
  },
];
