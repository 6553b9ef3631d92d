import { ChildProgram } from '../support/child-program.js';
import { sharedRedis, type SharedServer } from '../support/servers/shared.js';
import { startSchemas } from './schemas.js';
import { makeStorms, type StormStore } from './storms.js';

/** Of each store. */
const MS = 150_000;
/** Nobody starts a server for records in memory. */
const NOWHERE: Pick<SharedServer, 'url' | 'stop'> = { url: '', stop: async () => undefined };

describe.each<{ store: StormStore; runs: number; start: () => Promise<typeof NOWHERE> }>([
  { store: 'memory', runs: 8_000, start: async () => NOWHERE },
  { store: 'Redis', runs: 1_000, start: sharedRedis },
  { store: 'PostgreSQL', runs: 1_000, start: startSchemas },
])(
  'many generated applications under random calls, with records in $store,',
  ({ start, ...given }) => {
    let server: typeof NOWHERE;
    let program: ChildProgram;

    beforeAll(async () => {
      server = await start();
      program = await ChildProgram.compile('test/storm/programs/storms.ts');
    }, 60_000);

    afterAll(async () => {
      await program?.stop();
      await server?.stop();
    });

    it(
      'have one effect for each key and its reply for its caller, answer every call and come to rest',
      async () => {
        const { url } = server;
        const report = await makeStorms(program, { ...given, url, endsWithinMs: MS });
        expect(report.violations).toEqual([]);
        expect(report.runs).toBeGreaterThan(100);
        expect(report.effects).toBeGreaterThan(report.runs);
        expect(report.refusedAtBoot).toBeLessThan(report.runs / 2);
      },
      MS + 60_000,
    );
  },
);
