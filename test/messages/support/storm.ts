import { jest } from '@jest/globals';
import { once } from 'node:events';
import { DataSource } from 'typeorm';
import { sqlOptions } from '../../processes/support/open-store.js';
import { SQL_SERVERS } from '../../processes/support/servers.js';
import { type Child, ChildProgram, end, nextMessage } from '../../support/child-program.js';
import { eventually } from '../../support/http.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { type Queue, Rabbit } from './rabbitmq.js';

const CONSUMERS = 3;
const PATIENCE_MS = 240_000;
const [POSTGRES] = SQL_SERVERS;

export interface Storm {
  readonly messages: number;
  /** How many consumers are killed and replaced on the way. */
  readonly kills: number;
}

/** Messages to several consumers, each delivered one to three times. */
export function describeStorm({ messages, kills }: Storm): void {
  jest.setTimeout(2 * PATIENCE_MS);
  const deliveries = Array.from({ length: messages }, (_, index) =>
    Array.from({ length: 1 + (index % 3) }, () => `message ${index}`),
  ).flat();

  describe(`${messages} messages of RabbitMQ, each delivered one to three times`, () => {
    let rabbit: Rabbit;
    let database: PrivateServer;
    let books: DataSource;
    let program: ChildProgram;

    beforeAll(async () => {
      [rabbit, database, program] = await Promise.all([
        Rabbit.start(),
        POSTGRES!.start(),
        ChildProgram.compile('test/messages/programs/booking-consumer.ts'),
      ]);
      books = await new DataSource(sqlOptions('PostgreSQL', database.port)).initialize();
    }, PATIENCE_MS);

    afterAll(async () => {
      await program?.stop();
      await books?.destroy();
      await Promise.all([rabbit?.stop(), database?.stop()]);
    });

    const consumer = (queue: Queue, acknowledge: string): Promise<Child<string>> =>
      program.start({
        QUEUE: queue.name,
        ACKNOWLEDGE: acknowledge,
        BROKER_URL: rabbit.url,
        DATABASE_PORT: String(database.port),
      });

    const open = (queue: Queue, acknowledge: string): Promise<Child<string>[]> =>
      Promise.all(Array.from({ length: CONSUMERS }, () => consumer(queue, acknowledge)));

    /** Duplicates come one after the other, to consumers that are free at the same time. */
    const publish = (queue: Queue): Promise<void> =>
      queue.publishAll(
        'book',
        deliveries.map((id) => `${queue.name} ${id}`).map((id) => [id, { messageId: id }]),
      );

    /** How many effects there are, and of how many messages. */
    async function booked(queue: Queue): Promise<{ effects: number; messages: number }> {
      const [counts] = await books.query<[{ effects: string; messages: string }]>(
        'SELECT count(*) AS effects, count(DISTINCT name) AS messages FROM effects WHERE name LIKE $1',
        [`${queue.name} %`],
      );
      return { effects: Number(counts.effects), messages: Number(counts.messages) };
    }

    const bookedMany = (queue: Queue, many: number): Promise<void> =>
      eventually(async () => (await booked(queue)).effects >= many, PATIENCE_MS);

    const isEmpty = async (queue: Queue) => (await queue.state()).messageCount === 0;

    /** One that still holds a message gets no other. */
    async function allAreFree(queue: Queue, consumers: Child<string>[]): Promise<void> {
      const free = new Set<Child<string>>();
      for (const each of consumers) each.process.once('message', () => free.add(each));
      await eventually(async () => {
        await queue.publish('probe', {});
        return free.size === consumers.length;
      }, PATIENCE_MS);
      await eventually(() => isEmpty(queue), PATIENCE_MS);
    }

    /** How many deliveries they have come to an end with. */
    async function handled(consumers: Child<string>[]): Promise<number> {
      const counts = consumers.map(({ process }) => nextMessage<number>(process));
      for (const { process } of consumers) process.send('count');
      return (await Promise.all(counts)).reduce((sum, count) => sum + count);
    }

    async function stop(consumers: Child<string>[]): Promise<void> {
      const ended = consumers.map(({ process }) => once(process, 'exit'));
      for (const { process } of consumers) process.send('stop');
      await Promise.all(ended);
    }

    it('have one effect each while consumers are killed and replaced, acknowledged by hand', async () => {
      const queue = await rabbit.queue();
      await publish(queue);
      const alive = await open(queue, 'by hand');
      const all = [...alive];
      for (let kill = 1; kill <= kills; kill++) {
        await bookedMany(queue, (kill * messages) / (kills + 2));
        await end(alive.shift()!.process);
        const next = await consumer(queue, 'by hand');
        alive.push(next);
        all.push(next);
      }
      await bookedMany(queue, messages);
      await allAreFree(queue, alive);
      expect((await queue.state()).consumerCount).toBe(CONSUMERS);

      await stop(alive);
      expect(await queue.left()).toBe(0);
      expect(await queue.rejected()).toEqual([]);
      expect(await booked(queue)).toEqual({ effects: messages, messages });
      expect(all.map(({ errors }) => errors()).join('')).toBe('');
    });

    it('have one effect each, acknowledged as they are sent, as long as no consumer is killed', async () => {
      const queue = await rabbit.queue();
      await publish(queue);
      const consumers = await open(queue, 'as sent');
      await eventually(async () => (await handled(consumers)) === deliveries.length, PATIENCE_MS);
      expect((await queue.state()).consumerCount).toBe(CONSUMERS);

      await stop(consumers);
      expect(await booked(queue)).toEqual({ effects: messages, messages });
      expect(consumers.map(({ errors }) => errors()).join('')).toBe('');
    });
  });
}
