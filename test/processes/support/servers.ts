import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { startMariadb } from '../../support/servers/mariadb.js';
import { startPostgres } from '../../support/servers/postgres.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { startRedis } from '../../support/servers/redis.js';
import { type ServerName, sqlOptions } from './open-store.js';

/** A server that processes share, with everything in it that {@link openStore} asks for. */
export interface SharedServer<Name extends ServerName = ServerName> {
  readonly name: Name;
  start(): Promise<PrivateServer>;
}

const REDIS: SharedServer<'Redis'> = { name: 'Redis', start: () => startRedis() };

export const SQL_SERVERS: readonly SharedServer<'PostgreSQL' | 'MariaDB'>[] = [
  {
    name: 'PostgreSQL',
    start: () => withTables('PostgreSQL', startPostgres({ isDurable: true })),
  },
  {
    name: 'MariaDB',
    start: () => withTables('MariaDB', startMariadb({ isDurable: true })),
  },
];

export const SERVERS: readonly SharedServer[] = [REDIS, ...SQL_SERVERS];

async function withTables(
  name: 'PostgreSQL' | 'MariaDB',
  starting: Promise<PrivateServer>,
): Promise<PrivateServer> {
  const server = await starting;
  await administer(name, server.port, async (dataSource) => {
    await dataSource.runMigrations();
    await dataSource.query('CREATE TABLE effects (name varchar(100) NOT NULL)');
  });
  return server;
}

/** Work on a connection of its own, with the right to run migrations. */
export async function administer(
  name: 'PostgreSQL' | 'MariaDB',
  port: number,
  work: (dataSource: DataSource) => Promise<unknown>,
): Promise<void> {
  const dataSource = new DataSource({
    ...sqlOptions(name, port),
    migrations: [CreateIdempotencyRecords1763700000000],
  });
  await dataSource.initialize();
  try {
    await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
