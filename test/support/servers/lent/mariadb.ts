import { createConnection } from 'mysql2/promise';
import { mariadbUrl, startMariadb } from '../mariadb.js';
import { type LentServer, names, portOf, withPath } from './server.js';

const SETTINGS = {
  'max-connections': '2000',
  'innodb-buffer-pool-size': '256M',
};

/** Lends databases; `TEST_MARIADB_URL` is one whose user may create some. */
export async function lentMariadb(run: string): Promise<LentServer> {
  const given = process.env.TEST_MARIADB_URL;
  const server = given === undefined ? await startMariadb({ settings: SETTINGS }) : undefined;
  const url = given ?? mariadbUrl(server!.port);
  const admin = await createConnection(url);
  // The server is gone: whoever uses it is told.
  admin.on('error', () => undefined);
  const nextName = names(run);
  return {
    async lend() {
      const name = nextName();
      await admin.query(`CREATE DATABASE ${name}`);
      return {
        name,
        url: withPath(url, name),
        port: portOf(url, 3306),
        free: async () => {
          await admin.query(`DROP DATABASE IF EXISTS ${name}`);
        },
      };
    },
    async stop() {
      await admin.end();
      await server?.stop();
    },
  };
}
