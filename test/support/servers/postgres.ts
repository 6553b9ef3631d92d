import { execFile } from 'node:child_process';
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { accountOf } from './accounts.js';
import { PrivateServer, type ServerRecipe } from './private-server.js';
import { pathFolders, programIn } from './programs.js';

const run = promisify(execFile);

export interface PostgresOptions {
  /** Keep what was committed through a power cut, at the price of speed. */
  readonly isDurable?: boolean;
  /** Settings of the server, such as `max_connections`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** A PostgreSQL of its own; without a password, as the user `postgres`. */
export function startPostgres(options: PostgresOptions = {}): Promise<PrivateServer> {
  return PrivateServer.start(recipe(options));
}

export function postgresUrl(port: number, database = 'postgres'): string {
  return `postgres://postgres@127.0.0.1:${port}/${database}`;
}

/** Makes the data that a server begins with. */
export async function postgresData(folder: string): Promise<void> {
  const user = account();
  if (user) chownSync(folder, user.uid, user.gid);
  const args = ['-D', data(folder), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--no-sync'];
  await run(program('initdb'), args, { ...user, cwd: folder });
}

/** It refuses to run as root. */
function account(): ServerRecipe['user'] {
  return process.getuid?.() === 0 ? accountOf('postgres', 'nobody') : undefined;
}

function data(folder: string): string {
  return join(folder, 'data');
}

function recipe({ isDurable = false, settings = {} }: PostgresOptions): ServerRecipe {
  const all = {
    listen_addresses: '127.0.0.1',
    fsync: isDurable ? 'on' : 'off',
    synchronous_commit: isDurable ? 'on' : 'off',
    full_page_writes: isDurable ? 'on' : 'off',
    ...settings,
  };
  return {
    name: 'postgres',
    user: account(),
    makeData: postgresData,
    command: (folder, port) => [
      program('postgres'),
      '-D',
      data(folder),
      '-p',
      String(port),
      // None in a folder: the path of such a socket is no longer than a hundred bytes.
      '-k',
      '',
      ...Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    ping: async (port) => {
      const client = new Client({ connectionString: postgresUrl(port) });
      try {
        await client.connect();
        await client.query('SELECT 1');
      } finally {
        await client.end();
      }
    },
  };
}

/** Debian keeps the newest server's programs out of the path. */
function program(name: string): string {
  const packaged = '/usr/lib/postgresql';
  const versions = existsSync(packaged) ? readdirSync(packaged) : [];
  const folders = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(packaged, version, 'bin'));
  return programIn([...pathFolders(), ...folders], name);
}
