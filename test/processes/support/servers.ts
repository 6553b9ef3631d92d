import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { startMariadb } from '../../support/servers/mariadb.js';
import { startPostgres } from '../../support/servers/postgres.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { startRedis } from '../../support/servers/redis.js';
import { sharedMariadb, sharedPostgres, sharedRedis } from '../../support/servers/shared.js';
import { type LayerName, type Place, type ServerName, sqlOptions } from './open-store.js';

/** What a test has of a server that others may use, too. */
export interface Share {
  readonly url: string;
  stop(): Promise<unknown>;
}

/** A server that processes share, with everything in it that {@link openStore} asks for. */
export interface SharedServer<Name extends ServerName | LayerName = ServerName> {
  readonly name: Name;
  /** A database, or what is like one, for a test that neither ends nor changes the server. */
  share(): Promise<Share>;
  /** A server of the test's own, that keeps what it has confirmed when it is killed. */
  start(): Promise<PrivateServer>;
  /** Restarts it, without anything that a store had in it. */
  restartEmpty(server: PrivateServer): Promise<void>;
  /** Makes it again what a store needs. */
  setUp(server: PrivateServer): Promise<void>;
}

export const REDIS: SharedServer<'Redis'> = {
  name: 'Redis',
  share: () => sharedRedis(),
  start: () => startRedis(),
  restartEmpty: (server) => server.restart(),
  setUp: () => Promise.resolve(),
};

type SqlServer = SharedServer<'PostgreSQL' | 'MariaDB'>;

export const SQL_SERVERS: readonly SqlServer[] = [
  sqlServer('PostgreSQL', () => startPostgres({ isDurable: true }), sharedPostgres),
  sqlServer('MariaDB', () => startMariadb({ isDurable: true }), sharedMariadb),
];

/** Data layers of `SqlStore`, each on PostgreSQL. */
export const SQL_LAYERS: readonly SharedServer<LayerName>[] = (
  ['fromPg()', 'fromDrizzle()'] as const
).map((name) => ({ ...SQL_SERVERS[0]!, name }));

export const SERVERS: readonly SharedServer[] = [REDIS, ...SQL_SERVERS];

function sqlServer(
  name: SqlServer['name'],
  startServer: () => Promise<PrivateServer>,
  shareServer: () => Promise<Share>,
): SqlServer {
  const furnish = (place: Place): Promise<void> =>
    administer(name, place, async (source) => {
      await source.runMigrations();
      await source.query('CREATE TABLE effects (name varchar(100) NOT NULL)');
    });
  return {
    name,
    share: async () => {
      const share = await shareServer();
      await furnish(share.url);
      return share;
    },
    start: async () => {
      const server = await startServer();
      await furnish(server.port);
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
  place: Place,
  work: (dataSource: DataSource) => Promise<unknown>,
): Promise<void> {
  const dataSource = new DataSource({
    ...sqlOptions(name, place),
    migrations: [CreateIdempotencyRecords1763700000000],
  });
  await dataSource.initialize();
  try {
    await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}
