import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import type { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from 'typeorm';
import { AppNode } from '../processes/support/nodes.js';
import { openStore, type OpenStore, type Place } from '../processes/support/open-store.js';
import { administer, SQL_SERVERS } from '../processes/support/servers.js';
import { claimOf, completedOn } from '../support/claims.js';
import { bytes, type Given, tally, told } from '../support/engine.js';

/** Each with an engine of its own. */
const NODES = 8;
const ROUNDS = 10;
const WAIT_MS = 10_000;
/** Most duplicates have to open a connection first, which takes long on a busy machine. */
const STORE_TIMEOUT_MS = 20_000;

const ONLY_ISSUED: Given = { refuseUnknown: 'IDEMPOTENCY_KEY_INVALID' };

/** What connections that are made from now on begin their transactions with. */
const SET_LEVEL = {
  PostgreSQL: (level: string) => `
    DO $$ BEGIN EXECUTE format(
      'ALTER DATABASE %I SET default_transaction_isolation = ''${level}''', current_database()
    ); END $$`,
  MariaDB: (level: string) => `SET GLOBAL TRANSACTION ISOLATION LEVEL ${level}`,
};
const SHOW_LEVEL = {
  PostgreSQL: "SELECT current_setting('transaction_isolation') AS level",
  MariaDB: "SELECT replace(@@tx_isolation, '-', ' ') AS level",
};

const LEVELS = ['read committed', 'repeatable read', 'serializable'];
const CASES = SQL_SERVERS.flatMap((server) => LEVELS.map((level) => ({ ...server, level })));

describe.each(CASES)('transactions on $name that are $level', ({ name, level, share, start }) => {
  let server: { stop(): Promise<unknown> };
  let place: Place;
  let opened: OpenStore[];
  let nodes: AppNode[];

  beforeAll(async () => {
    if (name === 'PostgreSQL') {
      const shared = await share();
      [server, place] = [shared, shared.url];
    } else {
      // MariaDB has one level for all databases.
      const own = await start();
      [server, place] = [own, own.port];
    }
    await administer(name, place, (source) => source.query(SET_LEVEL[name](level)));
    opened = await Promise.all([1, 2].map(() => openStore(name, place)));
    nodes = Array.from({ length: NODES }, (_, i) => new AppNode(opened[i % 2]!, STORE_TIMEOUT_MS));
  });

  afterAll(async () => {
    await Promise.all((opened ?? []).map((each) => each.close()));
    await server?.stop();
  });

  it('are so indeed', async () => {
    expect.assertions(1);
    await administer(name, place, async (source) => {
      const [row] = await source.query<[{ level: string }]>(SHOW_LEVEL[name]);
      expect(row.level.toLowerCase()).toBe(level);
    });
  });

  /** Runs as a handler would, if it may: what it was told. */
  async function run(node: AppNode, given: Given): Promise<string> {
    const beginning = await node.begin({ fingerprint: 'fingerprint', waitMs: WAIT_MS, ...given });
    if (beginning.outcome !== 'execute') return told(beginning);
    const { claim } = beginning;
    await opened[0]!.act(claim.id, claim.manager as EntityManager | undefined);
    expect(await claim.complete(bytes('reply'))).toEqual({ outcome: 'stored' });
    return 'execute';
  }

  const inTransaction: Given = { transaction: { source: undefined } };

  it.each<[string, Given, (store: IdempotencyStore, id: string) => Promise<unknown>]>([
    ['free', {}, () => Promise.resolve()],
    ['expired', {}, (store, id) => completedOn(store, { id, ttlMs: 1 })],
    ['abandoned', {}, async (store, id) => store.acquire(claimOf({ id, leaseMs: 1 }))],
    ['issued', ONLY_ISSUED, async (store, id) => store.issue({ id, ttlMs: 60_000 })],
  ])(
    'have one winner on a key that is %s, whose reply all others get',
    async (name, given, lay) => {
      for (let round = 0; round < ROUNDS; round++) {
        const id = `${name} ${round}`;
        await lay(opened[0]!.store, id);
        await sleep(5);
        const calls = nodes.map((node) => run(node, { id, ...given, ...inTransaction }));
        expect(tally(await Promise.all(calls))).toEqual({
          execute: 1,
          'replay reply': nodes.length - 1,
        });
        expect(await opened[0]!.effects(id)).toBe(1);
      }
    },
  );

  it('have one winner beside claims without a transaction', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const id = `beside ${round}`;
      await opened[0]!.store.issue({ id, ttlMs: 60_000 });
      const calls = nodes.map((node, i) =>
        run(node, { id, ...ONLY_ISSUED, ...(i % 2 === 0 && inTransaction) }),
      );
      expect(tally(await Promise.all(calls))).toEqual({
        execute: 1,
        'replay reply': nodes.length - 1,
      });
      expect(await opened[0]!.effects(id)).toBe(1);
    }
  });

  it.each([
    ['issued', true],
    ['free', false],
  ])(
    'see what became of a key that was %s after they began to read',
    async (before, mustBeIssued) => {
      const store = opened[0]!.store as TypeOrmStore;
      const claim = claimOf({ mustBeIssued });
      if (mustBeIssued) await store.issue(claim);
      const request = { source: undefined, lockWaitMs: 1_000 };
      const transaction = await store.beginTransaction(request);
      await transaction.manager.query('SELECT count(*) FROM effects');
      const { id } = await completedOn(opened[1]!.store, claim);
      const answer = await transaction.acquire({ ...claim, owner: 'late' });
      await transaction.rollback();
      expect({ before, id, outcome: answer.outcome }).toEqual({
        before,
        id: claim.id,
        outcome: 'completed',
      });
    },
  );
});
