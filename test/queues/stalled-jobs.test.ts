import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { type Child, ChildProgram, end, nextMessage } from '../support/child-program.js';
import { eventually } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import type { Started } from './support/importers.js';

const WITHIN_MS = 60_000;

describe('a job whose worker falls silent', () => {
  let server: PrivateServer;
  let client: Redis;
  let queue: Queue;
  let program: ChildProgram;

  beforeAll(async () => {
    server = await startRedis();
    client = new Redis(server.port);
    queue = new Queue('imports', { connection: { host: '127.0.0.1', port: server.port } });
    program = await ChildProgram.compile('test/queues/programs/importer.ts');
  }, 180_000);

  afterAll(async () => {
    await program?.stop();
    await queue?.close();
    client?.disconnect();
    await server?.stop();
  });

  const open = (standsStill: boolean): Promise<Child<Started>> =>
    program.start({ REDIS_PORT: String(server.port), STANDS_STILL: String(standsStill) });

  const effects = (): Promise<string[]> => client.lrange('effects', 0, -1);

  /** Resolves when the worker has the job, and stands still before its effect. */
  async function jobOf(worker: Child<Started>, name: string): Promise<string> {
    const standing = nextMessage(worker.process);
    const { id } = await queue.add('import', { name }, { jobId: `job-${name}` });
    await standing;
    return id!;
  }

  it.each([
    ['paused, and goes on when another one has done it', 'SIGSTOP' as const],
    ['killed', 'SIGKILL' as const],
  ])(
    'is done once when it is %s',
    async (name, signal) => {
      const silent = await open(true);
      const id = await jobOf(silent, signal);
      silent.process.kill(signal);
      const other = await open(false);
      const by = other.ready.pid;
      await eventually(async () => (await queue.getJobState(id)) === 'completed', WITHIN_MS);
      const { returnvalue } = (await queue.getJob(id))!;
      expect(returnvalue).toEqual({ by, attempt: 2 });

      await end(other.process);
      if (signal === 'SIGSTOP') {
        silent.process.kill('SIGCONT');
        silent.process.send('go on');
        // It takes other jobs again when it is through with this one.
        await jobOf(silent, `after ${name}`);
      }
      expect((await effects()).filter((effect) => effect.startsWith(signal))).toEqual([
        `${signal} by ${by}`,
      ]);
      await end(silent.process);
    },
    180_000,
  );
});
