import type { Mark, RedisConnection, Subscriber } from './redis-connection.js';

/** How long a channel stays open, because a duplicate that waits in rounds comes back soon. */
const LINGER_MS = 2_000;

/** How long nothing is tried after the server, or the client, has refused to listen. */
const REFUSED_FOR_MS = 60_000;

interface Channel {
  readonly listeners: Set<() => void>;
  lingering: NodeJS.Timeout | undefined;
  /** What owners need to know to be heard; absent until the server has subscribed. */
  mark: Mark | undefined;
}

/**
 * The duplicates that wait for each record. The connection that listens is opened when the first
 * duplicate waits. If it fails, polling continues.
 */
export class Watches {
  private readonly channels = new Map<string, Channel>();
  private subscriber: Subscriber | undefined;
  private refusedUntilMs = 0;
  /** Told once why duplicates are not woken. */
  warn: ((warning: string) => void) | undefined;

  /** @param leaveMark marks the record, so that its owner publishes the change */
  constructor(
    private readonly connection: RedisConnection,
    private readonly leaveMark: (name: string, mark: Mark) => Promise<unknown>,
  ) {}

  /** @throws Error if the server refuses to listen, so that the caller polls */
  add(name: string, onChange: () => void): () => void {
    if (performance.now() < this.refusedUntilMs) throw new Error('Redis refused to subscribe.');
    const channel = this.channels.get(name) ?? this.open(name);
    clearTimeout(channel.lingering);
    channel.listeners.add(onChange);
    return () => {
      if (!channel.listeners.delete(onChange) || channel.listeners.size > 0) return;
      channel.lingering = setTimeout(() => this.drop(name, channel), LINGER_MS).unref();
    };
  }

  /** The mark to leave on a record that this process listens to; `undefined` for all others. */
  markOf(name: string): Mark | undefined {
    return this.channels.size === 0 ? undefined : this.channels.get(name)?.mark;
  }

  close(): void {
    this.forgetChannels();
    this.subscriber?.close();
    this.subscriber = undefined;
  }

  private open(name: string): Channel {
    const channel: Channel = { listeners: new Set(), lingering: undefined, mark: undefined };
    this.channels.set(name, channel);
    const wake = (): void => {
      channel.listeners.forEach((listener) => listener());
    };
    this.tell(async (subscriber) => {
      const mark = await subscriber.subscribe(name, (message) => soon(wake, Number(message)));
      channel.mark = mark;
      // Without it, the next look leaves the mark.
      await this.leaveMark(name, mark).catch(() => undefined);
      // Changes before that were not heard.
      wake();
    });
    return channel;
  }

  private drop(name: string, channel: Channel): void {
    if (this.channels.get(name) !== channel) return;
    this.channels.delete(name);
    this.tell((subscriber) => subscriber.unsubscribe(name));
  }

  private tell(command: (subscriber: Subscriber) => Promise<void>): void {
    try {
      this.subscriber ??= this.connection.openSubscriber();
    } catch (error) {
      return this.refused(error);
    }
    const { subscriber } = this;
    command(subscriber).catch((error: unknown) => {
      if (this.subscriber !== subscriber) return;
      if (isRefusal(error)) return this.refused(error);
      // The next duplicate that waits opens another connection. Until then, duplicates poll.
      this.close();
    });
  }

  /** Asking again at once would be refused again, each time on a connection of its own. */
  private refused(error: unknown): void {
    this.close();
    this.refusedUntilMs = performance.now() + REFUSED_FOR_MS;
    this.warn?.(
      `Redis does not let this user listen for changes (${String(error)}). Duplicates that wait ` +
        'for another process ask every half second instead. Allow SUBSCRIBE and PUBLISH on the ' +
        "channels that begin with the store's prefix (in a Cluster SSUBSCRIBE and SPUBLISH too).",
    );
    this.warn = undefined;
  }

  private forgetChannels(): void {
    for (const { lingering } of this.channels.values()) clearTimeout(lingering);
    this.channels.clear();
  }
}

/** So many processes may ask for one record in the same moment. */
const AT_ONCE = 16;
/** How many more milliseconds there are for each process that listens, up to the longest. */
const SPREAD_MS = 1;
const LONGEST_SPREAD_MS = 1_000;

/** Each of many processes asks at another time. */
function soon(wake: () => void, listening: number): void {
  if (!(listening > AT_ONCE)) return wake();
  const spreadMs = Math.min(listening * SPREAD_MS, LONGEST_SPREAD_MS);
  setTimeout(wake, Math.random() * spreadMs).unref();
}

/** The user may not use the channel or the command, or the client cannot. */
function isRefusal(error: unknown): boolean {
  return error instanceof Error && /^(NOPERM|ERR unknown command)\b/.test(error.message);
}
