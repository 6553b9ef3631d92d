import {
  type Argument,
  asText,
  isUnknownCommand,
  type Mark,
  type RedisConnection,
  type Subscriber,
} from './redis-connection.js';
import { type Corkable, SocketTurns } from './socket-turns.js';

/** The part of ioredis (5 and 6; single node, Sentinel, Cluster) that the store uses. */
export interface IoredisClient {
  readonly options?: {
    readonly keyPrefix?: string;
    readonly redisOptions?: { readonly keyPrefix?: string };
  };
  info(section: string): Promise<string>;
}

/** A Cluster takes the startup nodes before the settings that differ. */
interface Duplicating {
  readonly isCluster?: boolean;
  duplicate(...args: unknown[]): IoredisSubscriber;
}

/** A connection of the client, or in a Cluster a connection of one of its nodes. */
interface Connected {
  readonly status?: string;
  readonly stream?: Partial<Corkable>;
}

interface Clustered {
  nodes(role: 'master'): readonly Connected[];
}

/**
 * Overrides the settings of the application's client: this connection subscribes before it is
 * connected, and again after it reconnects.
 */
const SUBSCRIBER_SETTINGS = { lazyConnect: false, enableOfflineQueue: true, autoResubscribe: true };
const CLUSTER_SUBSCRIBER_SETTINGS = { ...SUBSCRIBER_SETTINGS, shardedSubscribers: true };

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
  ssubscribe(channel: string): Promise<unknown>;
  sunsubscribe(channel: string): Promise<unknown>;
  on(event: 'message' | 'smessage' | 'error', listener: (...args: string[]) => void): unknown;
  /** Of a Cluster that listens on the shard of each channel, from ioredis 5.7 on. */
  readonly shardedSubscribers?: unknown;
  disconnect(): void;
}

export function isIoredis(client: object): client is IoredisClient {
  return typeof (client as Partial<BufferCommands>).evalshaBuffer === 'function';
}

export class IoredisConnection implements RedisConnection {
  private readonly commands: BufferCommands;
  private readonly turns: SocketTurns;

  constructor(private readonly client: IoredisClient) {
    this.commands = client as IoredisClient & BufferCommands;
    this.turns = new SocketTurns(() => this.sockets());
  }

  get isCluster(): boolean {
    return (this.client as Partial<Duplicating>).isCluster === true;
  }

  evalsha(sha1: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    this.turns.hold();
    return this.commands.evalshaBuffer(sha1, keys.length, ...keys, ...args.map(asText));
  }

  eval(script: string, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    this.turns.hold();
    return this.commands.evalBuffer(script, keys.length, ...keys, ...args.map(asText));
  }

  info(section: string): Promise<string> {
    return this.client.info(section);
  }

  openSubscriber(): Subscriber {
    const client = this.client as IoredisClient & Duplicating;
    const connection =
      client.isCluster === true
        ? client.duplicate([], CLUSTER_SUBSCRIBER_SETTINGS)
        : client.duplicate(SUBSCRIBER_SETTINGS);
    const { options } = this.client;
    // The client adds its prefix to keys and to sharded channels, but not to other channels.
    const prefix = options?.keyPrefix ?? options?.redisOptions?.keyPrefix ?? '';
    const listeners = new Map<string, (message: string) => void>();
    const wake = (channel: string, message: string): void => listeners.get(channel)?.(message);
    connection.on('message', wake);
    connection.on('smessage', wake);
    // The client reconnects by itself, and duplicates poll in the meantime.
    connection.on('error', () => undefined);
    let isSharded = connection.shardedSubscribers !== undefined;
    const listen = async (channel: string): Promise<Mark> => {
      if (isSharded) {
        try {
          await connection.ssubscribe(channel);
          return 's';
        } catch (error) {
          if (!isUnknownCommand(error)) throw error;
          isSharded = false;
        }
      }
      await connection.subscribe(prefix + channel);
      return 'p';
    };
    return {
      subscribe: (channel, onMessage) => {
        listeners.set(prefix + channel, onMessage);
        return listen(channel);
      },
      unsubscribe: async (channel) => {
        listeners.delete(prefix + channel);
        await (isSharded
          ? connection.sunsubscribe(channel)
          : connection.unsubscribe(prefix + channel));
      },
      close: () => connection.disconnect(),
    };
  }

  /** While a connection is being made, the client queues commands, and writes them later. */
  private sockets(): readonly Corkable[] {
    const client = this.client as Connected & Partial<Clustered>;
    const nodes = this.isCluster ? (client.nodes?.('master') ?? []) : [client];
    const sockets: Corkable[] = [];
    for (const { status, stream } of nodes)
      if (status === 'ready' && typeof stream?.cork === 'function')
        sockets.push(stream as Corkable);
    return sockets;
  }
}
