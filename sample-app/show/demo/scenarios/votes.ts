import assert from 'node:assert';
import { randomUUID } from 'node:crypto';
import { expectCreated, expectRefused, newKey, signedInAs } from '../expect.js';
import type { Scenario } from '../scenario.js';

export const votes: readonly Scenario[] = [
  {
    id: 'S19',
    title: 'voting again on purpose',
    route: 'POST /votes/:target',
    table: 'votes',
    runs: 2,
    async play(visitor) {
      const path = `/votes/${randomUUID()}`;
      const [alice, bob] = [signedInAs('alice'), signedInAs('bob')];
      expectCreated(await visitor.send({ path, headers: alice }));
      expectRefused(await visitor.send({ path, headers: alice }), 409, 'IDEMPOTENCY_DUPLICATE');
      const forged = await visitor.send({ path, headers: { ...alice, ...newKey() } });
      expectRefused(forged, 409, 'IDEMPOTENCY_DUPLICATE');
      expectCreated(await visitor.send({ path, headers: bob }));
      const { status } = await visitor.send({ path });
      assert.equal(status, 401, `a stranger got ${status} instead of 401`);
      return [];
    },
  },
];
