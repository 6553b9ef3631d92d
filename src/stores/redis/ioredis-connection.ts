import {
  type Argument,
  asBuffer,
  type RedisConnection,
  settingIn,
  type Subscriber,
} from './redis-connection.js';

/** The part of ioredis (5 and 6; single node, Sentinel, Cluster) that the store uses. */
export interface IoredisClient {
  readonly options?: {
    readonly keyPrefix?: string;
    readonly redisOptions?: { readonly keyPrefix?: string };
  };
  info(section: string): Promise<string>;
  config(verb: 'GET', name: string): Promise<unknown>;
}

/** A Cluster takes the startup nodes before the settings that differ. */
interface Duplicating {
  readonly isCluster?: boolean;
  duplicate(...args: unknown[]): IoredisSubscriber;
}

/**
 * Overrides the settings of the application's client: this connection subscribes before it is
 * connected, and again after it reconnects.
 */
const SUBSCRIBER_SETTINGS = { lazyConnect: false, enableOfflineQueue: true, autoResubscribe: true };

/**
 * Commands that return bytes. Every client has them, but its types leave them out. `callBuffer`,
 * which is typed, never answers with automatic pipelining.
 */
interface BufferCommands {
  evalshaBuffer(sha1: string, keys: number, ...args: (string | Buffer)[]): Promise<unknown>;
  evalBuffer(script: string, keys: number, ...args: (string | Buffer)[]): Promise<unknown>;
}

interface IoredisSubscriber {
  subscribe(channel: string): Promise<unknown>;
  unsubscribe(channel: string): Promise<unknown>;
  on(event: 'message' | 'error', listener: (...args: string[]) => void): unknown;
  disconnect(): void;
}

export function isIoredis(client: object): client is IoredisClient {
  return typeof (client as Partial<BufferCommands>).evalshaBuffer === 'function';
}

export class IoredisConnection implements RedisConnection {
  private readonly commands: BufferCommands;

  constructor(private readonly client: IoredisClient) {
    this.commands = client as IoredisClient & BufferCommands;
  }

  get isCluster(): boolean {
    return (this.client as Partial<Duplicating>).isCluster === true;
  }

  evalsha(sha1: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.commands.evalshaBuffer(sha1, keys.length, ...keys, ...args.map(asBuffer));
  }

  eval(script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.commands.evalBuffer(script, keys.length, ...keys, ...args.map(asBuffer));
  }

  info(section: string): Promise<string> {
    return this.client.info(section);
  }

  async configuration(name: string): Promise<string | undefined> {
    return settingIn(await this.client.config('GET', name), name);
  }

  openSubscriber(): Subscriber {
    const client = this.client as IoredisClient & Duplicating;
    const connection =
      client.isCluster === true
        ? client.duplicate([], SUBSCRIBER_SETTINGS)
        : client.duplicate(SUBSCRIBER_SETTINGS);
    const { options } = this.client;
    // The client adds its prefix to keys, but not to channels.
    const prefix = options?.keyPrefix ?? options?.redisOptions?.keyPrefix ?? '';
    const listeners = new Map<string, () => void>();
    connection.on('message', (channel) => listeners.get(channel)?.());
    // The client reconnects by itself, and duplicates poll in the meantime.
    connection.on('error', () => undefined);
    return {
      subscribe: async (channel, onMessage) => {
        listeners.set(prefix + channel, onMessage);
        await connection.subscribe(prefix + channel);
      },
      unsubscribe: async (channel) => {
        listeners.delete(prefix + channel);
        await connection.unsubscribe(prefix + channel);
      },
      close: () => connection.disconnect(),
    };
  }
}
