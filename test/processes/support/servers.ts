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
  /** Restarts it, without anything that a store had in it. */
  restartEmpty(server: PrivateServer): Promise<void>;
  /** Makes it again what a store needs. */
  setUp(server: PrivateServer): Promise<void>;
}

export const REDIS: SharedServer<'Redis'> = {
  name: 'Redis',
  start: () => startRedis(),
  restartEmpty: (server) => server.restart(),
  setUp: () => Promise.resolve(),
};

type SqlServer = SharedServer<'PostgreSQL' | 'MariaDB'>;

export const SQL_SERVERS: readonly SqlServer[] = [
  sqlServer('PostgreSQL', () => startPostgres({ isDurable: true })),
  sqlServer('MariaDB', () => startMariadb({ isDurable: true })),
];

export const SERVERS: readonly SharedServer[] = [REDIS, ...SQL_SERVERS];

function sqlServer(name: SqlServer['name'], startServer: () => Promise<PrivateServer>): SqlServer {
  return {
    name,
    start: async () => {
      const server = await startServer();
      await administer(name, server.port, async (source) => {
        await source.runMigrations();
        await source.query('CREATE TABLE effects (name varchar(100) NOT NULL)');
      });
      return server;
    },
    restartEmpty: async (server) => {
      await server.restart();
      await administer(name, server.port, (source) => source.undoLastMigration());
    },
    setUp: (server) => administer(name, server.port, (source) => source.runMigrations()),
  };
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
