import assert from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectReplayed, expectStatus, newKey } from '../expect.js';
import type { Scenario } from '../scenario.js';
import { type Call, json, type Visitor } from '../visitor.js';

interface Import {
  readonly status: string;
  readonly result?: { readonly imported: number };
}

const PATIENCE_MS = 20_000;

const threeRows = (): Call => ({
  path: '/imports',
  headers: newKey(),
  body: { rows: ['a', 'b', 'c'] },
});

const queued: Scenario = {
  id: 'S15',
  title: 'an import sent twice, processed later',
  route: 'JOB imports',
  runs: 1,
  async play(visitor) {
    const call = threeRows();
    const first = await visitor.send(call);
    expectStatus(202, first);
    const { location } = first.headers;
    const retry = await visitor.send(call);
    expectReplayed(retry);
    const done = await finished(visitor, location!);
    assert.deepEqual(done.result, { imported: 3 });
    return [[first, retry]];
  },
};

const refused: Scenario = {
  id: 'S15',
  title: 'an import without Redis: 501',
  route: 'POST /imports',
  runs: 0,
  async play(visitor) {
    expectStatus(501, await visitor.send(threeRows()));
    return [];
  },
};

/** The queue needs Redis. */
export const importsWith = (redisUrl: string | undefined): Scenario =>
  redisUrl ? queued : refused;

async function finished(visitor: Visitor, path: string): Promise<Import> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = json<Import & Record<string, unknown>>(await visitor.get(path));
    if (found.status === 'done' || Date.now() > deadline) return found;
    await sleep(50);
  }
}
