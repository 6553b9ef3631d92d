import { connect as connectToNats, type NatsConnection } from '@nats-io/transport-node';
import { connect as connectToRabbitmq } from 'amqplib';
import { Redis } from 'ioredis';
import { DataSource } from 'typeorm';
import { eventually } from '../support/http.js';
import { lentMariadb } from '../support/servers/lent/mariadb.js';
import { lentNats } from '../support/servers/lent/nats.js';
import { lentPostgres } from '../support/servers/lent/postgres.js';
import { lentRedis } from '../support/servers/lent/redis.js';
import type { LentServer } from '../support/servers/lent/server.js';
import { mariadbUrl, startMariadb } from '../support/servers/mariadb.js';
import { natsUrl, startNats } from '../support/servers/nats.js';
import { postgresUrl, startPostgres } from '../support/servers/postgres.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { startRedis } from '../support/servers/redis.js';
import {
  sharedMariadb,
  sharedNats,
  sharedPostgres,
  sharedRabbitmq,
  sharedRedis,
} from '../support/servers/shared.js';

async function inSql<T>(url: string, work: (source: DataSource) => Promise<T>): Promise<T> {
  const type = url.startsWith('postgres') ? 'postgres' : 'mariadb';
  const source = await new DataSource({ type, url }).initialize();
  try {
    return await work(source);
  } finally {
    await source.destroy();
  }
}

async function inRedis<T>(url: string, work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis(url);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

async function inRabbitmq<T>(url: string, queue: string): Promise<T | undefined> {
  const connection = await connectToRabbitmq(url);
  try {
    const channel = await connection.createChannel();
    const { messageCount } = await channel.assertQueue(queue);
    channel.sendToQueue(queue, Buffer.from('message'));
    await channel.close();
    return messageCount as T;
  } finally {
    await connection.close();
  }
}

describe('a shared server', () => {
  it.each([
    ['PostgreSQL', sharedPostgres],
    ['MariaDB', sharedMariadb],
  ])('is one %s, on which each test has a database until it gives it back', async (_, share) => {
    const [one, other] = await Promise.all([share(), share()]);
    expect(other.port).toBe(one.port);
    for (const { url } of [one, other])
      await inSql(url, (source) => source.query('CREATE TABLE mine (id integer)'));
    await one.stop();
    // Nobody waits until PostgreSQL has dropped it.
    await eventually(() =>
      inSql(one.url, (source) => source.query('SELECT * FROM mine')).then(
        () => false,
        () => true,
      ),
    );
    expect(await inSql(other.url, (source) => source.query('SELECT * FROM mine'))).toEqual([]);
    await other.stop();
  });

  it('is one Redis, on which each test has a database, empty when another gets it', async () => {
    const [one, other] = await Promise.all([sharedRedis(), sharedRedis()]);
    expect(other.port).toBe(one.port);
    await inRedis(one.url, (redis) => redis.set('key', 'one'));
    expect(await inRedis(other.url, (redis) => redis.get('key'))).toBeNull();
    await one.stop();
    expect(await inRedis(one.url, (redis) => redis.get('key'))).toBeNull();
    await other.stop();
  });

  it('is one RabbitMQ, on which each test has a virtual host', async () => {
    const [one, other] = await Promise.all([sharedRabbitmq(), sharedRabbitmq()]);
    expect(other.port).toBe(one.port);
    const counts = [one, one, other].map(
      ({ url }) =>
        () =>
          inRabbitmq<number>(url, 'queue'),
    );
    const found: unknown[] = [];
    for (const count of counts) found.push(await count());
    expect(found).toEqual([0, 1, 0]);
    await Promise.all([one.stop(), other.stop()]);
  });

  it('is one NATS, on which each test hears itself alone', async () => {
    const [one, other] = await Promise.all([sharedNats(), sharedNats()]);
    expect(other.port).toBe(one.port);
    const open = ({ port, user, pass }: typeof one): Promise<NatsConnection> =>
      connectToNats({ servers: `127.0.0.1:${port}`, user, pass });
    const connections = await Promise.all([open(one), open(one), open(other)]);
    const heard: string[] = [];
    connections.forEach((connection, index) =>
      connection.subscribe('subject', {
        callback: (_, message) => void heard.push(`${index} ${message.string()}`),
      }),
    );
    for (const connection of connections) await connection.flush();
    connections[0]!.publish('subject', 'one');
    connections[2]!.publish('subject', 'other');
    for (const connection of connections) await connection.flush();
    await connections[1]!.flush();
    expect(heard.sort()).toEqual(['0 one', '1 one', '2 other']);
    for (const connection of connections) await connection.close();
    await Promise.all([one.stop(), other.stop()]);
  });
});

describe('a server that a URL gives', () => {
  const GIVEN = [
    {
      name: 'TEST_POSTGRES_URL',
      start: () => startPostgres(),
      urlOf: postgresUrl,
      lend: lentPostgres,
      use: (url: string) => inSql(url, (source) => source.query('SELECT 1')),
    },
    {
      name: 'TEST_MARIADB_URL',
      start: () => startMariadb(),
      urlOf: mariadbUrl,
      lend: lentMariadb,
      use: (url: string) => inSql(url, (source) => source.query('SELECT 1')),
    },
    {
      name: 'TEST_REDIS_URL',
      start: () => startRedis(),
      urlOf: (port: number) => `redis://127.0.0.1:${port}`,
      lend: lentRedis,
      use: (url: string) => inRedis(url, (redis) => redis.set('key', 'value')),
    },
    {
      name: 'TEST_NATS_URL',
      start: () => startNats(),
      urlOf: natsUrl,
      lend: lentNats,
      use: async (url: string) => (await connectToNats({ servers: url })).close(),
    },
  ];

  it.each(GIVEN)(
    'by $name lends places, and goes on',
    async ({ name, start, urlOf, lend, use }) => {
      const server: PrivateServer = await start();
      const before = process.env[name];
      process.env[name] = urlOf(server.port);
      try {
        const lent: LentServer = await lend('idempotency-run-test');
        const one = await lent.lend();
        expect(one.port).toBe(server.port);
        await use(one.url);
        await one.free();
        const other = await lent.lend();
        await use(other.url);
        await other.free();
        await lent.stop();
        await use(urlOf(server.port));
      } finally {
        if (before === undefined) delete process.env[name];
        else process.env[name] = before;
        await server.stop();
      }
    },
  );

  it('keeps database 0 of Redis, and has whoever asks wait for one of the others', async () => {
    const server = await startRedis('--databases', '2');
    const before = process.env.TEST_REDIS_URL;
    process.env.TEST_REDIS_URL = `redis://127.0.0.1:${server.port}`;
    try {
      await inRedis(process.env.TEST_REDIS_URL, (redis) => redis.set('key', 'mine'));
      const lent = await lentRedis();
      const one = await lent.lend();
      expect(one.name).toBe('1');
      const waiting = lent.lend();
      await one.free();
      expect((await waiting).name).toBe('1');
      await (await waiting).free();
      const kept = inRedis(process.env.TEST_REDIS_URL, (redis) => redis.get('key'));
      expect(await kept).toBe('mine');
    } finally {
      if (before === undefined) delete process.env.TEST_REDIS_URL;
      else process.env.TEST_REDIS_URL = before;
      await server.stop();
    }
  });
});
