import {
  type Argument,
  asBuffer,
  type RedisConnection,
  type Subscriber,
} from './redis-connection.js';

/** The part of node-redis (`redis` 5 and 6; client and cluster) that the store uses. */
export type NodeRedisClient = NodeRedisSingle | NodeRedisCluster;

interface NodeRedisSingle {
  sendCommand(args: (string | Buffer)[], options?: CommandOptions): Promise<unknown>;
  duplicate(): NodeRedisSubscriber;
}

interface NodeRedisCluster {
  sendCommand(
    firstKey: string | undefined,
    isReadonly: boolean | undefined,
    args: (string | Buffer)[],
    options?: CommandOptions,
  ): Promise<unknown>;
  readonly slots: unknown;
  duplicate(): NodeRedisSubscriber;
}

interface NodeRedisSubscriber {
  connect(): Promise<unknown>;
  on(event: 'error', listener: () => void): unknown;
  subscribe(channel: string, listener: () => void): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  destroy(): unknown;
}

interface CommandOptions {
  readonly typeMapping?: Record<number, unknown>;
}

/** RESP's type of bulk strings: replies are bytes, not text. */
const BLOB_STRING = '$'.charCodeAt(0);
const AS_BYTES: CommandOptions = { typeMapping: { [BLOB_STRING]: Buffer } };

export function isNodeRedis(client: object): client is NodeRedisClient {
  return typeof (client as { sendCommand?: unknown }).sendCommand === 'function';
}

export class NodeRedisConnection implements RedisConnection {
  constructor(private readonly client: NodeRedisClient) {}

  evalsha(sha1: string, key: string, args: readonly Argument[]): Promise<unknown> {
    return this.send(key, ['EVALSHA', sha1, '1', key, ...args.map(asBuffer)], AS_BYTES);
  }

  eval(script: string, key: string, args: readonly Argument[]): Promise<unknown> {
    return this.send(key, ['EVAL', script, '1', key, ...args.map(asBuffer)], AS_BYTES);
  }

  async info(section: string): Promise<string> {
    return String(await this.send(undefined, ['INFO', section]));
  }

  async configuration(name: string): Promise<string | undefined> {
    const answer = await this.send(undefined, ['CONFIG', 'GET', name]);
    const value: unknown = Array.isArray(answer)
      ? answer[1]
      : (answer as Record<string, unknown>)[name];
    return value === undefined ? undefined : String(value);
  }

  async openSubscriber(): Promise<Subscriber> {
    const connection = this.client.duplicate();
    // The client reconnects by itself, and duplicates poll meanwhile.
    connection.on('error', () => undefined);
    await connection.connect();
    return {
      subscribe: async (channel, onMessage) =>
        void (await connection.subscribe(channel, onMessage)),
      unsubscribe: async (channel) => void (await connection.unsubscribe(channel)),
      close: async () => void (await connection.destroy()),
    };
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
