import { wrongOption } from '../../engine/configuration-error.js';
import type { RedisConnection } from './redis-connection.js';

const OLDEST_VERSION = [6, 2] as const;

/**
 * The client may still be connecting when the application boots. Boot waits no longer than this.
 */
const PATIENCE_MS = 2_000;
const PAUSE_MS = 50;

/**
 * Checks the server once, when the application boots. A server that cannot be reached is not a
 * configuration error: calls get 503 until it answers.
 *
 * @throws {@link IdempotencyConfigurationError} for a server that is too old or only a replica
 */
export async function checkServer(
  connection: RedisConnection,
  warn: (warning: string) => void,
): Promise<void> {
  let server: string;
  let replication: string;
  try {
    [server, replication] = await patiently(() =>
      Promise.all([connection.info('server'), connection.info('replication')]),
    );
  } catch (error) {
    warn(
      isReply(error)
        ? `Redis could not be checked (${String(error)}): its version, its role and whether it ` +
            'evicts keys are not known. Allow INFO.'
        : `Redis could not be checked (${String(error)}). Protected calls are refused until it answers.`,
    );
    return;
  }
  checkVersion(field(server, 'redis_version') ?? '');
  if (field(replication, 'role') === 'slave' && field(replication, 'slave_read_only') === '1') {
    throw wrongOption(
      'client of RedisStore',
      'connected to a read-only replica',
      'a connection to the primary',
      'Connect to the primary, or through Sentinel or Cluster.',
    );
  }
  await checkEviction(connection, nameOf(server), warn);
}

/** Valkey gives the version of Redis that it is compatible with, and its own beside it. */
function nameOf(server: string): string {
  return field(server, 'server_name') === 'valkey' || field(server, 'valkey_version') !== undefined
    ? 'Valkey'
    : 'Redis';
}

function checkVersion(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > OLDEST_VERSION[0] || (major === OLDEST_VERSION[0] && minor >= OLDEST_VERSION[1]))
    return;
  throw wrongOption(
    'client of RedisStore',
    `connected to Redis ${version}`,
    `Redis ${OLDEST_VERSION.join('.')} or newer`,
    'Upgrade the server.',
  );
}

/** `INFO` tells it too, where hosted servers refuse `CONFIG`. */
async function checkEviction(
  connection: RedisConnection,
  name: string,
  warn: (warning: string) => void,
): Promise<void> {
  const memory = await patiently(() => connection.info('memory')).catch(() => '');
  const policy = field(memory, 'maxmemory_policy');
  if (policy === undefined || policy === 'noeviction') return;
  const isBounded = field(memory, 'maxmemory') !== '0';
  warn(
    isBounded
      ? `${name} evicts keys when its memory is full (maxmemory-policy ${policy}). If a record is ` +
          'evicted, its operation runs again. Set maxmemory-policy to noeviction.'
      : `${name} has no maxmemory now, but would evict keys if it were set (maxmemory-policy ${policy}). ` +
          'If a record is evicted, its operation runs again. Set maxmemory-policy to noeviction.',
  );
}

/**
 * Asks again while the client says that it is not connected. An error from the server is an answer.
 */
function patiently<T>(ask: () => Promise<T>): Promise<T> {
  let isOver = false;
  const asking = async (): Promise<T> => {
    for (;;) {
      try {
        return await ask();
      } catch (error) {
        if (isOver || isReply(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  let timer: NodeJS.Timeout;
  const tooLate = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      isOver = true;
      reject(new Error(`no answer within ${PATIENCE_MS} ms`));
    }, PATIENCE_MS);
  });
  return Promise.race([asking(), tooLate]).finally(() => clearTimeout(timer));
}

/** Error replies begin with a word in capitals, such as `NOPERM`. */
function isReply(error: unknown): boolean {
  return error instanceof Error && /^[A-Z]{2,}\b/.test(error.message);
}

function field(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
}
