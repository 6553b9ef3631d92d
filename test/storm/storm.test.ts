import { ChildProgram } from '../support/child-program.js';
import { sharedRedis, type SharedServer } from '../support/servers/shared.js';
import { startSchemas } from './schemas.js';
import { FIRST_SEED, makeStorms, type StormStore } from './storms.js';

/** Nobody starts a server for records in memory. */
const NOWHERE: Pick<SharedServer, 'url' | 'stop'> = { url: '', stop: async () => undefined };

describe.each<{ store: StormStore; runs: number; start: () => Promise<typeof NOWHERE> }>([
  { store: 'memory', runs: 120, start: async () => NOWHERE },
  { store: 'Redis', runs: 15, start: sharedRedis },
  { store: 'PostgreSQL', runs: 15, start: startSchemas },
])(
  `generated applications from seed ${FIRST_SEED} under random calls, with records in $store,`,
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

    it('have one effect for each key and its reply for its caller, answer every call and come to rest', async () => {
      const { url } = server;
      const report = await makeStorms(program, { ...given, url, endsWithinMs: 40_000 });
      expect(report.violations).toEqual([]);
      expect(report.effects).toBeGreaterThan(report.runs);
      expect(report.refusedAtBoot).toBeLessThan((report.runs * 4) / 5);
    }, 150_000);
  },
);

it('storms notice records that are lost', async () => {
  const program = await ChildProgram.compile('test/storm/programs/storms.ts');
  try {
    const report = await makeStorms(program, {
      store: 'memory',
      url: '',
      runs: 10,
      endsWithinMs: 30_000,
      isForgetful: true,
    });
    expect(report.violations).toContainEqual(
      expect.stringMatching(/^two effects: .* \[seed \d+ on/),
    );
  } finally {
    await program.stop();
  }
});
