import { jest } from '@jest/globals';
import { once } from 'node:events';
import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
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
const STANDS_STILL_MS = 60_000;
const ENDS_WITHIN_MS = 600_000;
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
  jest.setTimeout(ENDS_WITHIN_MS);
  const kind = STORM_BROKERS[name];
  const seed = Number(process.env.STORM_SEED ?? randomInt(2 ** 31));

  describe(`a storm over ${kind.name} (STORM_SEED=${seed})`, () => {
    const plan = planOf(count, new Random(seed));
    const good = plan.messages.filter(({ isPoison }) => !isPoison).map(({ id }) => id);
    const poison = plan.messages.filter(({ isPoison }) => isPoison).map(({ id }) => id);
    const all: Child<string>[] = [];
    let alive: Child<string>[] = [];
    /** By the storm: killed, or told to stop. */
    const stopped = new Set<Child<string>>();
    /** Consumers that nobody has killed or stopped, with what they wrote to their error output. */
    const died: string[] = [];
    /** How many have ended with their broker, and those that take their places. */
    let ends = 0;
    const reopening: Promise<unknown>[] = [];
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
      // With the last line of its errors.
      consumer.process.once('close', (code, signal) => {
        if (stopped.has(consumer)) return;
        alive = alive.filter((each) => each !== consumer);
        if (kind.ends?.test(consumer.errors()) === true) {
          ends += 1;
          reopening.push(open().catch((error: unknown) => died.push(String(error))));
        } else died.push(`ended with ${code ?? signal} by itself: ${consumer.errors()}`);
      });
    }

    const openAll = (): Promise<unknown> =>
      Promise.all(Array.from({ length: CONSUMERS }, () => open()));

    async function stopAll(): Promise<void> {
      await Promise.all(reopening.splice(0));
      const stopping = alive;
      alive = [];
      await Promise.all(
        stopping.map(async (consumer) => {
          const { process } = consumer;
          if (process.exitCode !== null || process.signalCode !== null) return;
          stopped.add(consumer);
          const gone = once(process, 'exit');
          // One that is just dying has closed the channel.
          process.send('stop', () => undefined);
          await gone;
        }),
      );
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

    /** For as long as it gets on. */
    async function until(isSo: () => Promise<boolean>): Promise<void> {
      let seen = '';
      let movedAt = performance.now();
      while (!(await isSo())) {
        if (died.length > 0) throw new Error(died.join('\n'));
        const now = `${(await effects()).length} effects, ${(await records('held')).length} held`;
        if (now !== seen) movedAt = performance.now();
        else if (performance.now() - movedAt > STANDS_STILL_MS)
          throw new Error(`The storm has stood still for a minute: ${now}.`);
        seen = now;
        await sleep(50);
      }
    }

    const booked = (many: number): Promise<void> =>
      until(async () => (await effects()).length >= many);
    const isDone = async (): Promise<boolean> =>
      (await effects()).length >= good.length && (await records('held')).length >= poison.length;

    /** What is under way when consumers are stopped comes again to the next ones. */
    async function settleAll(): Promise<void> {
      for (;;) {
        await until(isDone);
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
        await Promise.all(reopening.splice(0));
        const killed = alive.shift()!;
        stopped.add(killed);
        await end(killed.process);
        await open();
      }
      await published;
      await settleAll();

      expect(died).toEqual([]);
      expect(await effects()).toEqual([...good].sort());
      expect(await records('completed')).toEqual([...good].sort());
      expect(await records('held')).toEqual([...poison].sort());

      // Whoever is killed, or loses its broker, after it has told of a message gets it once more.
      const restarts = broker.restart === undefined ? 0 : 1;
      const lines = broker.lines(plan);
      // A broker that is killed may have forgotten, too, which messages were out of the way already.
      const mayRepeat = (kills + ends + CONSUMERS * restarts) * PREFETCH + restarts * lines;
      expect(droppedLines()).toBeGreaterThanOrEqual(lines);
      expect(droppedLines()).toBeLessThanOrEqual(lines + mayRepeat);
      const rejected = await broker.rejected?.();
      if (rejected === undefined) return;
      expect([...new Set(rejected.map(({ id }) => id))].sort()).toEqual([...poison].sort());
    });
  });
}
