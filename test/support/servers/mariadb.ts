import { execFile } from 'node:child_process';
import { chownSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { accountOf } from './accounts.js';
import { PrivateServer, type ServerRecipe } from './private-server.js';

const run = promisify(execFile);

const DATABASE = 'idempotency';

export interface MariadbOptions {
  /** Keep what was committed through a power cut, at the price of speed. */
  readonly isDurable?: boolean;
  /** Options of the server, such as `max-connections`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A MariaDB of its own; without a password, as the user `root`. */
export function startMariadb(options: MariadbOptions = {}): Promise<PrivateServer> {
  return PrivateServer.start(recipe(options));
}

export function mariadbUrl(port: number): string {
  return `mysql://root@127.0.0.1:${port}/${DATABASE}`;
}

/** Makes the data that a server begins with. */
export async function mariadbData(folder: string): Promise<void> {
  const user = account();
  if (user) chownSync(folder, user.uid, user.gid);
  await run(
    'mariadb-install-db',
    [
      '--no-defaults',
      `--datadir=${data(folder)}`,
      // In a folder that is shared, one server clears away another's temporary tables.
      `--tmpdir=${folder}`,
      '--auth-root-authentication-method=normal',
      '--skip-test-db',
      '--innodb-log-file-size=64M',
    ],
    { ...user, cwd: folder },
  );
}

/** It refuses to run as root. */
function account(): ServerRecipe['user'] {
  return process.getuid?.() === 0 ? accountOf('mysql', 'nobody') : undefined;
}

function data(folder: string): string {
  return join(folder, 'data');
}

function recipe({ isDurable = false, settings = {} }: MariadbOptions): ServerRecipe {
  const first = (folder: string): string => join(folder, 'first.sql');
  const all = {
    'bind-address': '127.0.0.1',
    'skip-name-resolve': '1',
    'innodb-buffer-pool-size': '64M',
    'innodb-log-file-size': '64M',
    'innodb-flush-log-at-trx-commit': isDurable ? '1' : '0',
    ...settings,
  };
  return {
    name: 'mariadb',
    user: account(),
    makeData: mariadbData,
    prepare: (folder) => {
      writeFileSync(first(folder), `CREATE DATABASE IF NOT EXISTS ${DATABASE};\n`);
      return Promise.resolve();
    },
    command: (folder, port) => [
      'mariadbd',
      '--no-defaults',
      `--datadir=${data(folder)}`,
      `--tmpdir=${folder}`,
      `--port=${port}`,
      // In the data folder, by its name alone: the path of a socket is no longer than a hundred bytes.
      '--socket=socket',
      `--pid-file=${join(folder, 'pid')}`,
      `--init-file=${first(folder)}`,
      ...Object.entries(all).map(([name, value]) => `--${name}=${value}`),
    ],
    ping: async (port) => {
      const connection = await createConnection(mariadbUrl(port));
      try {
        await connection.query('SELECT 1');
      } finally {
        connection.destroy();
      }
    },
  };
}
