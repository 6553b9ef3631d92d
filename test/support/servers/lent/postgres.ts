import { Pool } from 'pg';
import { postgresUrl, startPostgres } from '../postgres.js';
import { type LentServer, names, portOf, withPath } from './server.js';

const SETTINGS = {
  max_connections: '1000',
  shared_buffers: '256MB',
  shared_preload_libraries: 'pg_stat_statements',
  // Statements are counted apart for each database; none must be forgotten for the others' sake.
  'pg_stat_statements.max': '50000',
};

/** Lends databases; `TEST_POSTGRES_URL` is one whose user may create some. */
export async function lentPostgres(run: string): Promise<LentServer> {
  const given = process.env.TEST_POSTGRES_URL;
  const server = given === undefined ? await startPostgres({ settings: SETTINGS }) : undefined;
  const url = given ?? postgresUrl(server!.port);
  // One after the other, on a connection that stays.
  const admin = new Pool({ connectionString: url, max: 1, idleTimeoutMillis: 0 });
  const cleaner = new Pool({ connectionString: url, max: 1, idleTimeoutMillis: 0 });
  // The server is gone: whoever uses it is told.
  for (const pool of [admin, cleaner]) pool.on('error', () => undefined);
  const nextName = names(run);
  const dropping = new Set<Promise<unknown>>();
  return {
    async lend() {
      const name = nextName();
      await admin.query(`CREATE DATABASE ${name} TEMPLATE template0`);
      return {
        name,
        url: withPath(url, name),
        port: portOf(url, 5432),
        // Nobody has to wait for it: the name is not used again. The server itself waits some seconds for
        // connections that are just ending. One that is told so meanwhile has no listener for errors any more.
        free() {
          const drop = `DROP DATABASE IF EXISTS ${name}`;
          const done = cleaner
            .query(drop)
            .catch(() => cleaner.query(`${drop} WITH (FORCE)`))
            .catch(() => undefined)
            .finally(() => dropping.delete(done));
          dropping.add(done);
          return Promise.resolve();
        },
      };
    },
    async stop() {
      await Promise.all(dropping);
      await Promise.all([admin.end(), cleaner.end()]);
      await server?.stop();
    },
  };
}
