import { connect } from 'amqplib';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PrivateServer } from './private-server.js';
import { pathFolders, programIn } from './programs.js';

export interface RabbitmqOptions {
  /** Virtual hosts beside `/`. */
  readonly vhosts?: readonly string[];
}

/** A RabbitMQ of its own, without plugins, as the user `guest`. Durable messages outlive a kill. */
export function startRabbitmq({ vhosts = [] }: RabbitmqOptions = {}): Promise<PrivateServer> {
  return PrivateServer.start({
    name: 'rabbitmq',
    prepare: async (folder) => {
      await linkModules(folder);
      if (vhosts.length > 0) writeDefinitions(folder, ['/', ...vhosts]);
    },
    environment: (folder, port) => ({
      HOME: folder,
      // The script becomes the server, rather than to wait for it.
      RABBITMQ_ALLOW_INPUT: 'true',
      RABBITMQ_NODENAME: NODE,
      RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
      RABBITMQ_NODE_PORT: String(port),
      RABBITMQ_MNESIA_BASE: join(folder, 'data'),
      RABBITMQ_LOG_BASE: join(folder, 'log'),
      RABBITMQ_LOGS: '-',
      // The machine's own settings are not read: these files do not exist.
      RABBITMQ_CONF_ENV_FILE: join(folder, 'environment'),
      RABBITMQ_CONFIG_FILE: join(folder, 'settings'),
      RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'advanced'),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'plugins'),
    }),
    command: (folder) => [
      serverScript(),
      '-noinput',
      '-sname',
      NODE,
      ...ALONE,
      '+S',
      '1:1',
      // A file of settings would need schemas, which are not among the linked modules.
      ...(vhosts.length > 0
        ? ['-rabbit', 'load_definitions', JSON.stringify(definitions(folder))]
        : []),
      '-pa',
      modules(folder),
    ],
    ping: async (port) => {
      const connection = await connect(rabbitmqUrl(port));
      await connection.close();
    },
  });
}

function definitions(folder: string): string {
  return join(folder, 'definitions.json');
}

/** What it has from its first start on. With definitions, it makes no user of its own. */
function writeDefinitions(folder: string, vhosts: readonly string[]): void {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update('guest').digest();
  const all = { configure: '.*', write: '.*', read: '.*' };
  writeFileSync(
    definitions(folder),
    JSON.stringify({
      vhosts: vhosts.map((name) => ({ name })),
      users: [
        {
          name: 'guest',
          password_hash: Buffer.concat([salt, hash]).toString('base64'),
          hashing_algorithm: 'rabbit_password_hashing_sha256',
          tags: ['administrator'],
        },
      ],
      permissions: vhosts.map((vhost) => ({ user: 'guest', vhost, ...all })),
    }),
  );
}

export function rabbitmqUrl(port: number): string {
  return `amqp://guest:guest@127.0.0.1:${port}`;
}

/** The data folder is named after it. */
const NODE = 'rabbit@localhost';

/**
 * Erlang as a node without a cluster: it starts no daemon that names nodes (`epmd`), and listens to
 * none. RabbitMQ asks which port it listens on and does not start without an answer: any will do.
 */
const ALONE = ['-start_epmd', 'false', '-dist_listen', 'false', '-erl_epmd_port', '1'];

/** Debian's program of the same name on the PATH is a wrapper that changes the user. */
function serverScript(): string {
  return programIn(['/usr/lib/rabbitmq/bin', ...pathFolders()], 'rabbitmq-server');
}

function modules(folder: string): string {
  return join(folder, 'modules');
}

/**
 * One folder with the modules of all libraries. Erlang looks for each module in one library after
 * the other, a hundred of them: that is half of the time that RabbitMQ takes to start.
 */
async function linkModules(folder: string): Promise<void> {
  mkdirSync(modules(folder));
  const files = new Map<string, string>();
  for (const library of libraries())
    for (const name of readdirSync(library))
      if (name.endsWith('.beam')) files.set(name, join(library, name));
  for (const [name, file] of files) symlinkSync(file, join(modules(folder), name));
}

function libraries(): string[] {
  const rabbitmq = join(realpathSync(serverScript()), '../../plugins');
  const erlang = join(realpathSync(programIn(pathFolders(), 'erl')), '../../lib');
  return [erlang, rabbitmq]
    .flatMap((home) => readdirSync(home).map((library) => join(home, library, 'ebin')))
    .filter((folder) => existsSync(folder));
}
