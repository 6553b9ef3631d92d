import type { RedisConnection, Subscriber } from './redis-connection.js';

/** How long a channel stays open, because a duplicate that waits in rounds comes back soon. */
const LINGER_MS = 2_000;

interface Channel {
  readonly listeners: Set<() => void>;
  lingering: NodeJS.Timeout | undefined;
}

/**
 * The duplicates that wait for each record. The connection that listens is opened when the first
 * duplicate waits. If it fails, polling continues.
 */
export class Watches {
  private readonly channels = new Map<string, Channel>();
  private subscriber: Subscriber | undefined;

  constructor(private readonly connection: RedisConnection) {}

  add(name: string, onChange: () => void): () => void {
    const channel = this.channels.get(name) ?? this.open(name);
    clearTimeout(channel.lingering);
    channel.listeners.add(onChange);
    return () => {
      if (!channel.listeners.delete(onChange) || channel.listeners.size > 0) return;
      channel.lingering = setTimeout(() => this.drop(name, channel), LINGER_MS).unref();
    };
  }

  close(): void {
    this.forgetChannels();
    this.subscriber?.close();
    this.subscriber = undefined;
  }

  private open(name: string): Channel {
    const channel: Channel = { listeners: new Set(), lingering: undefined };
    this.channels.set(name, channel);
    const wake = (): void => {
      channel.listeners.forEach((listener) => listener());
    };
    this.tell(async (subscriber) => {
      await subscriber.subscribe(name, wake);
      // Changes before the subscription were not heard.
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
    } catch {
      return this.forgetChannels();
    }
    const { subscriber } = this;
    command(subscriber).catch(() => {
      if (this.subscriber !== subscriber) return;
      // The next duplicate that waits opens another connection. Until then, duplicates poll.
      this.close();
    });
  }

  private forgetChannels(): void {
    for (const { lingering } of this.channels.values()) clearTimeout(lingering);
    this.channels.clear();
  }
}
