import { openStore, type OpenStore } from '../processes/support/open-store.js';
import { REDIS, type Share, SQL_SERVERS } from '../processes/support/servers.js';
import { type Child, ChildProgram } from '../support/child-program.js';
import { eventually } from '../support/http.js';
import type { Reported } from './support/instance.js';

const JOBS = ['Jobs.cronAbove', 'Jobs.cronBelow', 'Jobs.interval'];
const TICKS = 4;

/** How far the clocks of the two instances are apart. */
const SKEW_MS = 400;
const WORK_MS = 600;

describe.each([REDIS, SQL_SERVERS[0]!])('two instances on $name with the same jobs', (server) => {
  let shared: Share;
  let books: OpenStore;
  let program: ChildProgram;
  let instances: Child<string>[];
  let reports: Reported[][];

  beforeAll(async () => {
    shared = await server.share();
    books = await openStore(server.name, shared.url);
    program = await ChildProgram.compile('test/schedules/programs/instance.ts');
    instances = await Promise.all(
      [0, SKEW_MS].map((skewMs) =>
        program.start<string>({
          SERVER: server.name,
          PLACE: shared.url,
          SKEW_MS: String(skewMs),
          WORK_MS: String(WORK_MS),
        }),
      ),
    );
    reports = instances.map(({ process }) => {
      const own: Reported[] = [];
      process.on('message', (reported: Reported) => own.push(reported));
      return own;
    });
  }, 60_000);

  afterAll(async () => {
    await program?.stop();
    await books?.close();
    await shared?.stop();
  });

  const effectsOf = (job: string): string[] =>
    reports.flat().flatMap(({ scope, effect }) => (scope === job && effect ? [effect] : []));

  const skippedOf = (job: string): number =>
    reports.flat().filter(({ scope, effect }) => scope === job && effect === undefined).length;

  it('run each of their ticks once, and say nothing about it', async () => {
    await eventually(
      () => JOBS.every((job) => effectsOf(job).length >= TICKS && skippedOf(job) >= TICKS / 2),
      60_000,
    );
    for (const job of JOBS) {
      const effects = effectsOf(job);
      expect(new Set(effects).size).toBe(effects.length);
      for (const effect of effects) expect(await books.effects(effect)).toBe(1);
      console.info(`${server.name}, ${job}: ${effects.length} run, ${skippedOf(job)} left`);
    }
    for (const { errors } of instances) expect(errors()).not.toContain('ERROR');
  }, 70_000);
});
