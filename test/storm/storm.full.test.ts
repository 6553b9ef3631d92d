import { ChildProgram } from '../support/child-program.js';
import { sharedRedis, type SharedServer } from '../support/servers/shared.js';
import { startSchemas } from './schemas.js';
import { FIRST_SEED, makeStorms, type StormStore } from './storms.js';

/** Nobody starts a server for records in memory. */
const NOWHERE: Pick<SharedServer, 'url' | 'stop'> = { url: '', stop: async () => undefined };

interface Many {
  readonly store: StormStore;
  /** Each makes that many runs, as long as there is time. */
  readonly processes: number;
  readonly runs: number;
  readonly ms: number;
  readonly start: () => Promise<typeof NOWHERE>;
}

describe.each<Many>([
  { store: 'memory', processes: 2, runs: 4_000, ms: 1_800_000, start: async () => NOWHERE },
  { store: 'Redis', processes: 2, runs: 500, ms: 600_000, start: sharedRedis },
  { store: 'PostgreSQL', processes: 1, runs: 1_000, ms: 600_000, start: startSchemas },
])(
  `ten thousand generated applications from seed ${FIRST_SEED} under random calls, with records in $store,`,
  ({ store, processes, runs, ms, start }) => {
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
        const reports = await Promise.all(
          Array.from({ length: processes }, (_, index) => {
            const firstSeed = FIRST_SEED + index * runs;
            return makeStorms(program, {
              store,
              url,
              runs,
              firstSeed,
              calls: 8,
              endsWithinMs: ms,
            });
          }),
        );
        expect(reports.flatMap(({ violations }) => violations)).toEqual([]);
        for (const report of reports) expect(report.effects).toBeGreaterThan(report.runs);
        for (const { runs: made, calls, effects } of reports)
          console.info(`${made} applications, ${calls} calls, ${effects} effects`);
      },
      ms + 90_000,
    );
  },
);
