import { ChildProgram } from '../support/child-program.js';
import { SEED } from '../support/seed.js';
import { sharedPostgres, sharedRedis, type SharedServer } from '../support/servers/shared.js';
import { attack, type HostileStore } from './attack.js';

const REQUESTS = 50_000;

describe.each<{ store: HostileStore; start: () => Promise<SharedServer> }>([
  { store: 'Redis', start: sharedRedis },
  { store: 'PostgreSQL', start: sharedPostgres },
])(
  `a hundred thousand hostile requests with seed ${SEED}, records in $store`,
  ({ store, start }) => {
    let server: SharedServer;
    let program: ChildProgram;

    beforeAll(async () => {
      server = await start();
      program = await ChildProgram.compile('test/hostile/programs/target.ts');
    }, 60_000);

    afterAll(async () => {
      await program?.stop();
      await server?.stop();
    });

    it('are all answered, and leave nothing behind', async () => {
      const outcome = await attack(
        program,
        { store, url: server.url },
        { seed: SEED, requests: REQUESTS, endsWithinMs: 280_000 },
      );
      expect(outcome.violations).toEqual([]);
      expect(outcome.requests).toBe(REQUESTS);
      expect(outcome.runs).toBeGreaterThan(REQUESTS / 40);
    }, 340_000);
  },
);
