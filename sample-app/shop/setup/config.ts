import type { Duration } from 'nestjs-idempotency';

/** Everything that the environment decides. Read once, when the shop starts. */
export interface ShopConfig {
  /** `HTTP`: which of Nest's HTTP adapters serves the shop. */
  readonly http: 'express' | 'fastify';
  /** `HOST`: the address to listen on. Anyone may sign in here, so the default is this computer alone. */
  readonly host: string;
  /** `PORT`: 0 takes any free port. */
  readonly port: number;
  /** `DATABASE_URL`: the server with the business data. Absent: an embedded PostgreSQL. */
  readonly database: DatabaseConfig | undefined;
  /** `STORE` and `REDIS_URL`: where records live. With `REDIS_URL` alone that is Redis. */
  readonly records: RecordsConfig;
  /** `REDIS_URL`: the queue for imports. Absent: imports are not available. */
  readonly redisUrl: string | undefined;
  /** `RABBITMQ_URL`: the broker for messages. Absent: TCP, from this process to itself. */
  readonly rabbitmqUrl: string | undefined;
  /** `REPORT_CRON`: when reports are written. */
  readonly reportCron: string;
  /** `LEASE`: how long a shop keeps its operations after it stops renewing their leases. */
  readonly lease: Duration;
}

export interface DatabaseConfig {
  readonly type: 'postgres' | 'mysql';
  readonly url: string;
}

export type RecordsConfig =
  { readonly store: 'typeorm' | 'memory' } | { readonly store: 'redis'; readonly url: string };

/** @throws {@link ConfigError} if a variable has a value that the shop cannot use */
export function readConfig(env: NodeJS.ProcessEnv = process.env): ShopConfig {
  return {
    http: oneOf('HTTP', env.HTTP, ['express', 'fastify']),
    host: env.HOST || '127.0.0.1',
    port: portNumber(env.PORT),
    database: databaseConfig(env.DATABASE_URL),
    records: recordsConfig(env.STORE, env.REDIS_URL),
    redisUrl: url('REDIS_URL', env.REDIS_URL, ['redis', 'rediss']),
    rabbitmqUrl: url('RABBITMQ_URL', env.RABBITMQ_URL, ['amqp', 'amqps']),
    reportCron: env.REPORT_CRON || '* * * * *',
    lease: duration('LEASE', env.LEASE || '30s'),
  };
}

/** An environment variable is invalid. The message says which one, and what is accepted. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** One of a few words; the first is the default. */
function oneOf<const Word extends string>(
  variable: string,
  value: string | undefined,
  words: readonly [Word, ...Word[]],
): Word {
  if (!value) return words[0];
  const word = words.find((candidate) => candidate === value);
  if (word === undefined)
    throw new ConfigError(`${variable}=${value}: must be one of ${words.join(', ')}.`);
  return word;
}

function databaseConfig(url: string | undefined): DatabaseConfig | undefined {
  if (!url) return undefined;
  const scheme = /^(postgres|mysql):\/\/./.exec(url)?.[1];
  if (scheme === undefined)
    throw new ConfigError('DATABASE_URL: must begin with postgres:// or mysql://.');
  return { type: scheme as DatabaseConfig['type'], url };
}

function recordsConfig(given: string | undefined, url: string | undefined): RecordsConfig {
  const store = oneOf('STORE', given || (url && 'redis'), ['typeorm', 'redis', 'memory']);
  if (store !== 'redis') return { store };
  if (!url) throw new ConfigError('STORE=redis: needs REDIS_URL, such as redis://127.0.0.1:6379.');
  return { store, url };
}

function url(
  variable: string,
  value: string | undefined,
  schemes: readonly string[],
): string | undefined {
  if (!value) return undefined;
  if (!schemes.some((scheme) => value.startsWith(`${scheme}://`)))
    throw new ConfigError(
      `${variable}: must begin with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}.`,
    );
  return value;
}

function duration(variable: string, value: string): Duration {
  if (/^\d+(ms|s|m)$/.test(value)) return value as Duration;
  throw new ConfigError(`${variable}=${value}: must be a duration such as 30s.`);
}

function portNumber(value: string | undefined): number {
  if (!value) return 3000;
  const port = Number(value);
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new ConfigError(
      `PORT=${value}: must be a number from 0 to 65535; 0 takes any free port.`,
    );
  return port;
}
