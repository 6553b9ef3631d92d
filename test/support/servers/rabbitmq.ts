import { connect } from 'amqplib';
import { existsSync, mkdirSync, readdirSync, realpathSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { PrivateServer } from './private-server.js';
import { pathFolders, programIn } from './programs.js';

/** A RabbitMQ of its own, without plugins, as the user `guest`. Durable messages outlive a kill. */
export function startRabbitmq(): Promise<PrivateServer> {
  return PrivateServer.start({
    name: 'rabbitmq',
    prepare: linkModules,
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
      '-pa',
      modules(folder),
    ],
    ping: async (port) => {
      const connection = await connect(rabbitmqUrl(port));
      await connection.close();
    },
  });
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
