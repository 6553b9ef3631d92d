import {
  type Argument,
  asBuffer,
  isUnknownCommand,
  type RedisConnection,
  type Subscriber,
} from './redis-connection.js';

/** The part of node-redis (`redis` 5 and 6; client, Sentinel and cluster) that the store uses. */
export type NodeRedisClient = NodeRedisSingle | NodeRedisSentinel | NodeRedisCluster;

/** A client of one server. */
export interface NodeRedisSingle {
  readonly options?: object;
  sendCommand(args: (string | Buffer)[], options?: CommandOptions): Promise<unknown>;
  duplicate(): NodeRedisSubscriber;
}

/** A client that finds its server through Sentinel. */
export interface NodeRedisSentinel {
  /** The prefix of its keys. Not in version 5. */
  readonly _keyPrefix?: string | Buffer | undefined;
  sendCommand(
    isReadonly: boolean | undefined,
    args: (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<unknown>;
  getSentinelNode(): unknown;
  duplicate(): NodeRedisSubscriber;
}

/** A client of a Cluster. */
export interface NodeRedisCluster {
  readonly _options?: object;
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<unknown>;
  readonly slots: unknown;
  duplicate(): NodeRedisSubscriber;
}

/** The connection that a store hears of changes on. */
export interface NodeRedisSubscriber {
  connect(): Promise<unknown>;
  on(event: 'error', listener: () => void): unknown;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  /** Of a cluster: listens on the node that has the key with the channel's name. */
  sSubscribe?(channel: string, listener: (message: string) => void): Promise<unknown>;
  sUnsubscribe?(channel: string): Promise<unknown>;
  destroy(): unknown;
}

/** What the store asks of a command. */
export interface CommandOptions {
  readonly typeMapping?: Record<number, unknown>;
}

/** RESP's type of bulk strings: replies are bytes, not text. */
const BLOB_STRING = '$'.charCodeAt(0);
const AS_BYTES: CommandOptions = { typeMapping: { [BLOB_STRING]: Buffer } };

export function isNodeRedis(client: object): client is NodeRedisClient {
  return typeof (client as { sendCommand?: unknown }).sendCommand === 'function';
}

export class NodeRedisConnection implements RedisConnection {
  /** The client adds it to keys of commands that it knows, but not to those of raw commands. */
  private readonly prefix: string;

  constructor(private readonly client: NodeRedisClient) {
    this.prefix = keyPrefixOf(client).toString();
  }

  get isCluster(): boolean {
    return 'slots' in this.client;
  }

  evalsha(sha1: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.run('EVALSHA', sha1, keys, args);
  }

  eval(script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.run('EVAL', script, keys, args);
  }

  async info(section: string): Promise<string> {
    return String(await this.send(undefined, ['INFO', section]));
  }

  openSubscriber(): Subscriber {
    const connection = this.client.duplicate();
    if (typeof connection.subscribe !== 'function')
      throw new Error('This client cannot subscribe.');
    // The client reconnects by itself, and duplicates poll in the meantime.
    connection.on('error', () => undefined);
    const connected = connection.connect();
    // The error reaches the code that subscribes.
    connected.catch(() => undefined);
    let isSharded = this.isCluster && typeof connection.sSubscribe === 'function';
    return {
      subscribe: async (channel, onMessage) => {
        await connected;
        const name = this.prefix + channel;
        if (isSharded) {
          try {
            await connection.sSubscribe!(name, onMessage);
            return 's';
          } catch (error) {
            if (!isUnknownCommand(error)) throw error;
            isSharded = false;
          }
        }
        await connection.subscribe(name, onMessage);
        return 'p';
      },
      unsubscribe: async (channel) => {
        const name = this.prefix + channel;
        await (isSharded ? connection.sUnsubscribe!(name) : connection.unsubscribe(name));
      },
      close: () => {
        try {
          connection.destroy();
        } catch {
          // It is already closed.
        }
      },
    };
  }

  private run(
    command: string,
    script: string,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown> {
    const named = keys.map((key) => this.prefix + key);
    const count = `${named.length}`;
    return this.send(named[0], [command, script, count, ...named, ...args.map(asBuffer)], AS_BYTES);
  }

  private send(
    key: string | undefined,
    args: (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<unknown> {
    const { client } = this;
    if ('slots' in client) return client.sendCommand(key, false, args, options);
    return isSentinel(client)
      ? client.sendCommand(false, args, options)
      : client.sendCommand(args, options);
  }
}

function isSentinel(client: NodeRedisClient): client is NodeRedisSentinel {
  return typeof (client as Partial<NodeRedisSentinel>).getSentinelNode === 'function';
}

function keyPrefixOf(client: NodeRedisClient): string | Buffer {
  if (isSentinel(client)) return client._keyPrefix ?? '';
  const options = 'slots' in client ? client._options : client.options;
  return ((options ?? {}) as { keyPrefix?: string | Buffer }).keyPrefix ?? '';
}
