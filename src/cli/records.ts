import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { encodeRecoveredHttpReply } from '../calls/recovery-call.js';
import { SealedStore } from '../encryption/sealed.store.js';
import { Seal } from '../encryption/seal.js';
import { type Duration, parseDuration } from '../engine/duration.js';
import { type IdempotencyStore, isPurging } from '../engine/store.js';
import { OperatorRecords } from '../operators/operator-records.js';
import type { Keeping } from '../replies/kept-value.js';
import { KnownTypes } from '../replies/known-types.js';
import { RedisStore, type RedisStoreOptions } from '../stores/redis/redis.store.js';
import { SqlStore } from '../stores/sql/sql.store.js';
import { type Given, type Surroundings, textOf, UsageError } from './command.js';
import { DATABASE_OPTIONS, openDatabase } from './database.js';

/** What every command for records takes. */
export const RECORDS_OPTIONS = {
  ...DATABASE_OPTIONS,
  prefix: { type: 'string' },
  cluster: { type: 'boolean' },
  'encryption-key-file': { type: 'string' },
  json: { type: 'boolean' },
} as const;

export const RECORDS_USAGE = [
  '--url <url>       where the records are: postgres://…, mysql://… or redis://…; else DATABASE_URL',
  "--table <name>    SQL: the table of the records; else 'idempotency_records'",
  '--schema <name>   SQL: its schema (MySQL, MariaDB: its database); else the current one',
  "--prefix <text>   Redis: the prefix of the keys; else 'idempotency:'",
  '--cluster         Redis: the URL is one node of a Cluster',
  '--encryption-key-file <file>   the keys of `encryption`, one per line, with the one that encrypts first',
  '--json            prints JSON, one record per line',
];

/** Records, as long as the command runs. */
export interface OpenedRecords {
  readonly records: OperatorRecords;
  /** Deletes what has expired, and tells how much; `undefined` if the server does that by itself. */
  readonly purge: ((limit: number) => Promise<number>) | undefined;
  close(): Promise<void>;
}

const CONNECT_WITHIN_MS = 10_000;

/**
 * Connects with the driver that the application has.
 *
 * @throws {@link UsageError} for a missing or unknown URL, a missing driver, or keys that cannot be read
 */
export function openRecords(given: Given, around: Surroundings): OpenedRecords {
  const url = textOf(given, 'url') ?? around.environment.DATABASE_URL ?? '';
  const opened = /^rediss?:/.test(url) ? openRedis(given, url, around) : openSql(given, around);
  const plain = opened.store;
  const store = sealed(plain, textOf(given, 'encryption-key-file'));
  const keeping: Keeping = { types: new KnownTypes() };
  const ttl = textOf(given, 'ttl');
  const ttlMs = ttl === undefined ? undefined : parseDuration('--ttl', ttl as Duration);
  const records = new OperatorRecords({
    store,
    ask: async (_verb, run) => run(store),
    forget: async (id, place) => place.forget(id),
    // Nothing here tells routes from other handlers, and all of them can read this form.
    encode: (reply) => encodeRecoveredHttpReply(reply, keeping),
    ttlMsOf: () => ttlMs,
    maxAttemptsOf: () => undefined,
    events: { hasListeners: false, emit: () => undefined },
  });
  const purge = isPurging(plain) ? (limit: number) => plain.purgeExpired(limit) : undefined;
  return {
    records,
    purge: purge && (async (limit) => purge(limit)),
    close: () => opened.close(),
  };
}

interface OpenedStore {
  readonly store: IdempotencyStore;
  close(): Promise<void>;
}

function openSql(given: Given, around: Surroundings): OpenedStore {
  const database = openDatabase(given, around);
  const { executor, dialect } = database;
  const table = textOf(given, 'table');
  const schema = textOf(given, 'schema');
  const store = new SqlStore({
    executor,
    dialect,
    purge: false,
    ...(table !== undefined && { table }),
    ...(schema !== undefined && { schema }),
  });
  return { store, close: () => database.close() };
}

type RedisClient = RedisStoreOptions['client'] & { disconnect(): void };
type RedisClass = new (url: string, options: object) => RedisClient;
type ClusterClass = new (nodes: readonly string[], options: object) => RedisClient;

function openRedis(given: Given, url: string, { folder }: Surroundings): OpenedStore {
  const { Redis, Cluster } = ioredis(folder);
  const prefix = textOf(given, 'prefix');
  const connection = { connectTimeout: CONNECT_WITHIN_MS, maxRetriesPerRequest: 1 };
  const client =
    given.options['cluster'] === true
      ? new Cluster([url], clusterOptions(url, connection))
      : new Redis(url, connection);
  const store = new RedisStore({ client, ...(prefix !== undefined && { prefix }) });
  return {
    store,
    close: async () => {
      store.close();
      client.disconnect();
    },
  };
}

/** Of the URL, ioredis uses the user, the password and TLS only for the node that it names. */
function clusterOptions(url: string, connection: object): object {
  const { protocol, username, password } = new URL(url);
  const login = {
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
  };
  if (protocol === 'redis:') return { redisOptions: { ...connection, ...login } };
  // Certificates name hosts, so addresses are not looked up before.
  const dnsLookup = (host: string, found: (error: null, address: string) => void): void =>
    found(null, host);
  return { redisOptions: { ...connection, ...login, tls: {} }, dnsLookup };
}

/** @throws {@link UsageError} */
function ioredis(folder: string): { readonly Redis: RedisClass; readonly Cluster: ClusterClass } {
  try {
    const load = createRequire(join(folder, 'package.json'));
    return load('ioredis') as { readonly Redis: RedisClass; readonly Cluster: ClusterClass };
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'MODULE_NOT_FOUND') throw error;
    throw new UsageError(
      'The application in this folder has no ioredis. Run this where it is installed, or add it: npm install -D ioredis.',
    );
  }
}

function sealed(store: IdempotencyStore, file: string | undefined): IdempotencyStore {
  if (file === undefined) return store;
  let keys: string[];
  try {
    keys = readFileSync(file, 'utf8').split(/\s+/).filter(Boolean);
  } catch (error) {
    throw new UsageError(`The file of --encryption-key-file cannot be read: ${String(error)}`);
  }
  return new SealedStore(store, new Seal({ keys }));
}
