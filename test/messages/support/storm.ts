import { jest } from '@jest/globals';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import { DataSource } from 'typeorm';
import { sqlOptions } from '../../processes/support/open-store.js';
import { SQL_SERVERS, type Share } from '../../processes/support/servers.js';
import { type Child, ChildProgram, end } from '../../support/child-program.js';
import { eventually } from '../../support/http.js';
import { Random } from '../../support/random.js';
import { STORM_BROKERS, type StormBroker } from './storm-brokers.js';
import { planOf } from './storm-plan.js';

const CONSUMERS = 3;
/** Of each consumer: so many messages may be under way when it is killed. */
const PREFETCH = 4;
const ENDS_WITHIN_MS = 120_000;
const [POSTGRES] = SQL_SERVERS;

export interface Storm {
  readonly messages: number;
  /** How many consumers are killed and replaced on the way. */
  readonly kills: number;
}

/**
 * Messages to several consumers, some of them delivered again, some that always fail, while consumers are
 * killed and the broker is restarted. Effects and records are in one transaction of PostgreSQL.
 *
 * `STORM_SEED` repeats a storm.
 */
export function describeStorm(
  name: keyof typeof STORM_BROKERS,
  { messages: count, kills }: Storm = { messages: 1_000, kills: 3 },
): void {
  jest.setTimeout(2 * ENDS_WITHIN_MS);
  const kind = STORM_BROKERS[name];
  const seed = Number(process.env.STORM_SEED ?? randomInt(2 ** 31));

  describe(`a storm over ${kind.name} (STORM_SEED=${seed})`, () => {
    const plan = planOf(count, new Random(seed));
    const good = plan.messages.filter(({ isPoison }) => !isPoison).map(({ id }) => id);
    const poison = plan.messages.filter(({ isPoison }) => isPoison).map(({ id }) => id);
    const all: Child<string>[] = [];
    let alive: Child<string>[] = [];
    let database: Share;
    let books: DataSource;
    let broker: StormBroker;
    let program: ChildProgram;

    beforeAll(async () => {
      [broker, database, program] = await Promise.all([
        kind.start('storm'),
        POSTGRES!.share(),
        ChildProgram.compile(`test/messages/programs/${kind.program}.ts`),
      ]);
      books = await new DataSource(sqlOptions('PostgreSQL', database.url)).initialize();
    });

    afterAll(async () => {
      await program?.stop();
      await broker?.stop();
      await books?.destroy();
      await database?.stop();
    });

    async function open(): Promise<void> {
      const env = { QUEUE: 'storm', BROKER_URL: broker.url, DATABASE: database.url };
      const consumer = await program.start<string>(env);
      alive.push(consumer);
      all.push(consumer);
    }

    const openAll = (): Promise<unknown> =>
      Promise.all(Array.from({ length: CONSUMERS }, () => open()));

    async function stopAll(): Promise<void> {
      const stopping = alive.splice(0).map(({ process }) => process);
      for (const process of stopping) process.send('stop');
      await Promise.all(stopping.map((process) => once(process, 'exit')));
    }

    const query = async (sql: string): Promise<string[]> => {
      const rows = await books.query<{ name: string }[]>(sql);
      return rows.map(({ name }) => name).sort();
    };
    const effects = (): Promise<string[]> => query('SELECT name FROM effects');
    /** The messages whose operations have come to this end, by their labels. */
    const records = (state: 'completed' | 'held'): Promise<string[]> =>
      query(
        `SELECT convert_from(label, 'UTF8') AS name FROM idempotency_records
        WHERE state = '${state}' AND label IS NOT NULL`,
      );

    const booked = (many: number): Promise<void> =>
      eventually(async () => (await effects()).length >= many, ENDS_WITHIN_MS);
    const isDone = async (): Promise<boolean> =>
      (await effects()).length >= good.length && (await records('held')).length >= poison.length;

    /** What is under way when consumers are stopped comes again to the next ones. */
    async function settleAll(): Promise<void> {
      for (;;) {
        await eventually(isDone, ENDS_WITHIN_MS);
        await eventually(async () => (await broker.left()) === 0, 1_000).catch(() => undefined);
        await stopAll();
        if ((await broker.left()) === 0) return;
        await openAll();
      }
    }

    const droppedLines = (): number =>
      all.flatMap(({ errors }) => errors().match(/(IDEMPOTENCY|HANDLER)_\w+ on /g) ?? []).length;

    it('leaves one effect of each message, poison out of the way, and nothing unsettled', async () => {
      await openAll();
      const published = broker.publish(plan);
      for (let kill = 1; kill <= kills; kill++) {
        await booked((kill * good.length) / (kills + 2));
        if (kill === Math.ceil(kills / 2)) await broker.restart?.();
        await end(alive.shift()!.process);
        await open();
      }
      await published;
      await settleAll();

      expect(await effects()).toEqual([...good].sort());
      expect(await records('completed')).toEqual([...good].sort());
      expect(await records('held')).toEqual([...poison].sort());

      // Whoever is killed, or loses its broker, after it has told of a message gets it once more.
      const restarts = broker.restart === undefined ? 0 : 1;
      const mayRepeat = (kills + CONSUMERS * restarts) * PREFETCH;
      const lines = broker.lines(plan);
      expect(droppedLines()).toBeGreaterThanOrEqual(lines);
      expect(droppedLines()).toBeLessThanOrEqual(lines + mayRepeat);
      const rejected = await broker.rejected?.();
      if (rejected === undefined) return;
      expect([...new Set(rejected.map(({ id }) => id))].sort()).toEqual([...poison].sort());
    });
  });
}
