import assert from 'node:assert';
import { expectCreated, expectInUse, expectReplayed, newKey } from '../expect.js';
import type { Scenario } from '../scenario.js';
import type { Call } from '../visitor.js';

const workFor = (ms: number): Call => ({ path: '/slow', headers: newKey(), body: { ms } });

export const work: readonly Scenario[] = [
  {
    id: 'S12',
    title: 'duplicates while the first one works',
    route: 'POST /slow',
    runs: 1,
    async play(visitor) {
      const call = workFor(6000);
      const { [this.route]: before } = await visitor.effects();
      const first = visitor.send(call);
      await visitor.untilRan(this.route, before + 1);
      for (const duplicate of await visitor.sendAtOnce(call, 5)) expectInUse(duplicate);
      const later = await visitor.sendUntilAnswered(call);
      expectCreated(await first);
      expectReplayed(later);
      return [[await first, later]];
    },
  },
  {
    id: 'S1',
    title: 'connection lost while it works, retried',
    route: 'POST /slow',
    runs: 1,
    async play(visitor) {
      const call = workFor(6000);
      await visitor.loseReply(call, this.route);
      expectInUse(await visitor.send(call));
      const retries = [await visitor.sendUntilAnswered(call), await visitor.send(call)];
      expectCreated(...retries);
      expectReplayed(...retries);
      return [retries];
    },
  },
  {
    id: 'S10b',
    title: 'two failures, a success, a retry',
    route: 'POST /flaky',
    runs: 3,
    async play(visitor) {
      const call: Call = { path: '/flaky', headers: newKey(), body: { fail: 2 } };
      for (const attempt of [1, 2]) {
        const { status } = await visitor.send(call);
        assert.equal(status, 500, `attempt ${attempt} got ${status} instead of 500`);
      }
      const success = await visitor.send(call);
      const retry = await visitor.send(call);
      expectCreated(success);
      expectReplayed(retry);
      return [[success, retry]];
    },
  },
];
