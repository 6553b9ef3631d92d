import { jest } from '@jest/globals';
import { claimOf } from '../../support/claims.js';
import { type Child, ChildProgram, nextMessage } from '../../support/child-program.js';
import { bytes, tally } from '../../support/engine.js';
import { eventually } from '../../support/http.js';
import { openStore, type OpenStore } from './open-store.js';
import type { Race, Result } from './race.js';
import { SERVERS, type Share } from './servers.js';

export interface Races {
  readonly processes: number;
  /** In each process. */
  readonly callers: number;
  readonly rounds: number;
}

/** Tests with processes whose callers all claim the same record at once. */
export function describeRaces({ processes: count, callers: each, rounds }: Races): void {
  const all = count * each;
  jest.setTimeout(300_000);

  describe.each(SERVERS)(`${count} processes on $name`, ({ name, share }) => {
    let server: Share;
    let parent: OpenStore;
    let program: ChildProgram;
    let racers: Child<string>[];

    beforeAll(async () => {
      server = await share();
      parent = await openStore(name, server.url);
      program = await ChildProgram.compile('test/processes/programs/racer.ts');
      const env = { SERVER: name, PLACE: server.url };
      racers = await Promise.all(Array.from({ length: count }, () => program.start<string>(env)));
    }, 60_000);

    afterAll(async () => {
      await program?.stop();
      await parent?.close();
      await server?.stop();
    });

    async function race(given: Omit<Race, 'callers'>): Promise<Record<string, number>> {
      const results = racers.map(({ process }) => nextMessage<Result>(process));
      racers.forEach(({ process }) => process.send({ ...given, callers: each }));
      return tally((await Promise.all(results)).flat());
    }

    it('go by the clock of the server, not by those of the processes', async () => {
      const claim = claimOf();
      await parent.store.acquire(claim);
      const clock = jest.spyOn(Date, 'now').mockReturnValue(Date.now() + 10 * claim.leaseMs);
      try {
        expect(await parent.store.acquire(claimOf({ id: claim.id }))).toMatchObject({
          outcome: 'in-flight',
        });
        expect(await parent.store.complete({ ...claim, reply: bytes('reply') })).toBe(true);
      } finally {
        clock.mockRestore();
      }
      expect(await parent.store.acquire(claimOf({ id: claim.id }))).toMatchObject({
        outcome: 'completed',
      });
    });

    it('are all given keys of their own, at the same time', async () => {
      for (let round = 0; round < rounds / 5; round++) {
        const answers = await race({ id: `own ${round}`, through: 'store', hasOwnKeys: true });
        expect(answers).toEqual({ acquired: all });
      }
    });

    describe.each([
      ['store', 'acquired', 'in-flight', 'completed'],
      ['engine', 'execute', 'IDEMPOTENCY_KEY_IN_USE', 'replay'],
    ] as const)(`with ${each} callers each, through the %s`, (through, won, busy, done) => {
      it('have one winner on a free key, every time', async () => {
        for (let round = 0; round < rounds; round++) {
          const id = `${through} free ${round}`;
          expect(await race({ id, through })).toEqual({ [won]: 1, [busy]: all - 1 });
        }
      });

      it('have one winner on a claim that ran out, every time', async () => {
        for (let round = 0; round < rounds; round++) {
          const id = `${through} expired ${round}`;
          await parent.store.acquire(claimOf({ id, leaseMs: 1 }));
          await eventually(async () => (await parent.store.find(id))!.leaseRemainingMs! <= 0);
          expect(await race({ id, through })).toEqual({ [won]: 1, [busy]: all - 1 });
          expect(await parent.store.find(id)).toMatchObject({ state: 'in-flight', attempt: 2 });
        }
      });

      it('have no winner beside the one that completes meanwhile, and all get its reply after', async () => {
        for (let round = 0; round < rounds; round++) {
          const id = `${through} completed ${round}`;
          const claim = claimOf({ id });
          await parent.store.acquire(claim);
          const [meanwhile, completed] = await Promise.all([
            race({ id, through }),
            parent.store.complete({ ...claim, reply: bytes('reply') }),
          ]);
          expect(completed).toBe(true);
          const { [busy]: early = 0, [done]: late = 0 } = meanwhile;
          expect(early + late).toBe(all);
          expect(await race({ id, through })).toEqual({ [done]: all });
        }
      });
    });
  });
}
