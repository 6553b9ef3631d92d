import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { createHash } from 'node:crypto';
import { request } from 'node:http';
import { DataSource } from 'typeorm';
import { type Child, ChildProgram, nextMessage } from '../../support/child-program.js';
import { eventually, PLATFORMS } from '../../support/http.js';
import { sharedPostgres, sharedRedis, type SharedServer } from '../../support/servers/shared.js';
import { ANSWERING, GOING_ON, STAYING } from './hostile.js';

/** Nothing is done that a retry would do again: the handler has thrown, or answered itself. */
const ANSWERS = [
  ...Object.keys(ANSWERING).map((which) => `answering/${which}`),
  ...[1000, 99, 0, -1, 200.5, Number.NaN, Infinity].map((status) => `throwing/${status}`),
];
/** The handler has returned; what it returned cannot be made a reply of. */
const UNMADE = ['file', 'outer', 'unserialisable'].map((which) => `returning/${which}`);

/** Express shows where an error was thrown, which is where it was noticed. */
function withoutStack(page: string): string {
  return page.replaceAll(/<br> &nbsp; &nbsp;at .*?(?=<br>|<\/pre>)/g, '');
}

/** Databases are shared by what tests of different stores write. */
function keyOf(kind: string, path: string): string {
  return createHash('sha256').update(`${kind} ${path}`).digest('hex');
}

/** What a client sees: status and body, or how the connection ended. */
function send(port: number, path: string, key: string): Promise<string> {
  return new Promise((resolve) => {
    const headers = { 'idempotency-key': key, 'content-length': 0 };
    const url = `/${encodeURI(path)}`;
    const asked = request(
      { port, path: url, method: 'POST', headers, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        response.on('close', () =>
          resolve(
            `${response.statusCode} ${withoutStack(text)} ${response.complete ? '' : 'cut off'}`,
          ),
        );
      },
    );
    asked.setTimeout(5_000, () => asked.destroy(new Error('no answer')));
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    asked.end();
  });
}

/** How the store of an application answers. */
export type Answering = 'at once' | 'later' | 'in Redis' | 'in PostgreSQL' | 'in a transaction';

/** In processes of their own, because what nobody catches ends the process. */
export function describeHostileReplies(...stores: readonly Answering[]): void {
  describe.each(PLATFORMS)('what Node refuses in a reply, on %s', (platform) => {
    let program: ChildProgram;
    let children: Partial<Record<string, Child<number>>>;
    let redis: SharedServer;
    let postgres: SharedServer;

    beforeAll(async () => {
      program = await ChildProgram.compile('test/survival/programs/hostile.ts');
      [redis, postgres] = await Promise.all([sharedRedis(), sharedPostgres()]);
      const dataSource = await new DataSource({
        type: 'postgres',
        url: postgres.url,
        migrations: [CreateIdempotencyRecords1763700000000],
      }).initialize();
      await dataSource.runMigrations();
      await dataSource.destroy();
      children = {};
    }, 60_000);

    afterAll(async () => {
      await program?.stop();
      await Promise.all([redis?.stop(), postgres?.stop()]);
    });

    /** A process that lives: the one before, or another. */
    async function living(kind: 'without' | (typeof stores)[number]): Promise<Child<number>> {
      const known = children[kind];
      if (known !== undefined && known.process.exitCode === null) return known;
      const child = await program.start<number>({
        PLATFORM: platform,
        STORE: kind,
        PROTECTED: kind === 'without' ? 'no' : 'yes',
        URL: kind === 'in Redis' ? redis.url : postgres.url,
      });
      children[kind] = child;
      return child;
    }

    async function stateOf({ process }: Child<number>): Promise<{ runs: number; isIdle: boolean }> {
      process.send('state?');
      return nextMessage(process);
    }

    /** Whatever the store still has to be told comes to its end. */
    async function idle(child: Child<number>): Promise<{ runs: number; isIdle: boolean }> {
      let state = await stateOf(child);
      await eventually(async () => (state = await stateOf(child)).isIdle);
      return state;
    }

    describe.each(stores)('over a store that answers %s', (kind) => {
      it.each(ANSWERS)('is the same as without the library, and ends nothing: %s', async (path) => {
        const plain = await send((await living('without')).ready, path, 'plain');
        const child = await living(kind);
        const key = keyOf(kind, path);
        const first = await send(child.ready, path, key);
        expect(first).toBe(plain);
        expect(await send(child.ready, path, key)).toBe(first);
        await idle(child);
        expect(child.errors()).toBe('');
      });

      it.each(UNMADE)('is the same, and does not make the handler run again: %s', async (path) => {
        const plain = await send((await living('without')).ready, path, 'plain');
        const child = await living(kind);
        const { runs } = await stateOf(child);
        expect(await send(child.ready, path, keyOf(kind, path))).toBe(plain);
        expect(await send(child.ready, path, keyOf(kind, path))).toMatch(
          /^409 .*IDEMPOTENCY_REPLY_NOT_KEPT/,
        );
        expect((await idle(child)).runs).toBe(runs + 1);
        expect(child.errors()).toBe('');
      });

      it.each(Object.keys(STAYING))(
        'is answered with 500, where it would end all: %s',
        async (which) => {
          const child = await living(kind);
          const { runs } = await stateOf(child);
          const key = keyOf(kind, which);
          for (let call = 1; call <= 2; call += 1)
            expect(await send(child.ready, `answering/${which}`, key)).toMatch(/^500 /);
          expect((await idle(child)).runs).toBe(runs + 2);
          expect(child.errors()).toBe('');
        },
      );

      it.each(Object.keys(GOING_ON))(
        'ends nothing that it would end without: %s',
        async (which) => {
          const child = await living(kind);
          for (const key of ['once', 'again', 'again'])
            expect(
              await send(child.ready, `answering/${which}`, keyOf(kind, `${key} ${which}`)),
            ).toBe('201 x ');
          await idle(child);
          expect(child.errors()).toBe('');
        },
      );
    });
  });
}
