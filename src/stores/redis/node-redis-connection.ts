import {
  type Argument,
  asBuffer,
  type RedisConnection,
  settingIn,
  type Subscriber,
} from './redis-connection.js';

/** The part of node-redis (`redis` 5 and 6; client and cluster) that the store uses. */
export type NodeRedisClient = NodeRedisSingle | NodeRedisCluster;

/** A client of one server, or of Sentinel. */
export interface NodeRedisSingle {
  readonly options?: object;
  sendCommand(args: (string | Buffer)[], options?: CommandOptions): Promise<unknown>;
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
  subscribe(channel: string, listener: () => void): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
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
    const options = 'slots' in client ? client._options : client.options;
    const { keyPrefix = '' } = (options ?? {}) as { keyPrefix?: string | Buffer };
    this.prefix = keyPrefix.toString();
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

  async configuration(name: string): Promise<string | undefined> {
    return settingIn(await this.send(undefined, ['CONFIG', 'GET', name]), name);
  }

  openSubscriber(): Subscriber {
    const connection = this.client.duplicate();
    // The client reconnects by itself, and duplicates poll in the meantime.
    connection.on('error', () => undefined);
    const connected = connection.connect();
    // The error reaches the code that subscribes.
    connected.catch(() => undefined);
    return {
      subscribe: async (channel, onMessage) => {
        await connected;
        await connection.subscribe(this.prefix + channel, onMessage);
      },
      unsubscribe: async (channel) => void (await connection.unsubscribe(this.prefix + channel)),
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
    return 'slots' in this.client
      ? this.client.sendCommand(key, false, args, options)
      : this.client.sendCommand(args, options);
  }
}
