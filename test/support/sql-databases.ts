import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import {
  CreateIdempotencyRecords1763700000000,
  IdempotencyRecord,
} from 'nestjs-idempotency/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import { mariadbUrl, startMariadb } from './servers/mariadb.js';
import { postgresUrl, startPostgres } from './servers/postgres.js';
import { sharedMariadb, sharedPostgres, type SharedServer } from './servers/shared.js';

/** A database of the test's own. */
export interface SqlDatabase {
  /** Another pool of connections to it, as another process would have; without the table. */
  connect(options?: Partial<DataSourceOptions>): Promise<DataSource>;
  stop(): Promise<void>;
  /** As a power cut would; only where the server is the test's own. */
  kill(): Promise<void>;
}

export interface SqlDatabaseKind {
  readonly name: string;
  /** False where there is one session for all: a second client would be the first one. */
  readonly hasManySessions: boolean;
  /** A database on the server that all tests share, where the kind has a server. */
  start(): Promise<SqlDatabase>;
  /** On a server of the test's own: to kill it, or to change what is the whole server's. */
  startOwn(): Promise<SqlDatabase>;
}

const OPTIONS = {
  entities: [IdempotencyRecord],
  migrations: [CreateIdempotencyRecords1763700000000],
};

export const POSTGRES: SqlDatabaseKind = {
  name: 'PostgreSQL',
  hasManySessions: true,
  start: async () => {
    const server = await sharedPostgres();
    return databaseAt({ type: 'postgres', url: server.url }, shared(server));
  },
  startOwn: async () => {
    const server = await startPostgres();
    return databaseAt({ type: 'postgres', url: postgresUrl(server.port) }, server);
  },
};

export const MARIADB: SqlDatabaseKind = {
  name: 'MariaDB',
  hasManySessions: true,
  start: async () => {
    const server = await sharedMariadb();
    return databaseAt({ type: 'mariadb', url: server.url }, shared(server));
  },
  startOwn: async () => {
    const server = await startMariadb();
    return databaseAt({ type: 'mariadb', url: mariadbUrl(server.port) }, server);
  },
};

export const PGLITE: SqlDatabaseKind = {
  name: 'PGlite',
  hasManySessions: false,
  start: startPglite,
  startOwn: startPglite,
};

export const SQLITE: SqlDatabaseKind = {
  name: 'SQLite',
  hasManySessions: false,
  start: startSqlite,
  startOwn: startSqlite,
};

async function startPglite(): Promise<SqlDatabase> {
  const database = await PGlite.create();
  const socket = new PGLiteSocketServer({ db: database, host: '127.0.0.1', port: 0 });
  await socket.start();
  const url = `postgres://postgres:postgres@${socket.getServerConn()}/postgres`;
  const single = { poolSize: 1, extra: { idleTimeoutMillis: 0 } };
  return databaseAt(
    { type: 'postgres', url, ...single },
    {
      kill: () => socket.stop(),
      stop: async () => {
        await socket.stop();
        await database.close();
      },
    },
  );
}

function startSqlite(): Promise<SqlDatabase> {
  return Promise.resolve(databaseAt({ type: 'sqljs' }));
}

function shared({ stop }: SharedServer): Pick<SqlDatabase, 'kill' | 'stop'> {
  const kill = (): Promise<void> =>
    Promise.reject(new Error('The server is shared: `startOwn()` has one to kill.'));
  return { stop, kill };
}

function databaseAt(
  options: DataSourceOptions,
  server?: { kill(): Promise<void>; stop(): Promise<void> },
): SqlDatabase {
  const opened: DataSource[] = [];
  return {
    connect: async (more) => {
      const dataSource = new DataSource({ ...OPTIONS, ...options, ...more } as DataSourceOptions);
      opened.push(dataSource);
      return dataSource.initialize();
    },
    kill: async () => server?.kill(),
    stop: async () => {
      for (const dataSource of opened) if (dataSource.isInitialized) await dataSource.destroy();
      await server?.stop();
    },
  };
}
