import type { DataSource } from 'typeorm';
import { dialectOf } from './dialect.js';
import { guardConnections } from './second-connections.js';

/**
 * Decides who may begin a transaction on a data source. If there is only one connection,
 * transactions run one after the other.
 */
export class Connections {
  private static readonly known = new WeakMap<DataSource, Connections>();
  private last: Promise<void> = Promise.resolve();

  private constructor(private readonly isSingle: boolean) {}

  static of(dataSource: DataSource): Connections {
    let connections = this.known.get(dataSource);
    if (connections === undefined) {
      const isSqlite = dialectOf(dataSource.options.type) === 'sqlite';
      connections = new Connections(isSqlite);
      this.known.set(dataSource, connections);
      // SQLite's only connection is always in the transaction, so there is nothing to notice.
      if (!isSqlite) guardConnections(dataSource);
    }
    return connections;
  }

  /** Waits for its turn. The function that it returns ends the turn. */
  async take(): Promise<() => void> {
    if (!this.isSingle) return () => undefined;
    const before = this.last;
    let letGo = (): void => undefined;
    this.last = new Promise((resolve) => (letGo = resolve));
    await before;
    return letGo;
  }
}

/** The part of a pool of `pg`, and of its clients, that is needed here. */
interface Emitting {
  on(event: 'acquire' | 'error', listener: (client: Emitting) => void): unknown;
}

const heard = new WeakSet<Emitting>();

/**
 * If a connection of `pg` breaks just as its pool hands it to TypeORM, nobody listens for its
 * error, and Node would end the process. The next code that uses the connection still gets the
 * error.
 */
export function outliveConnections({ driver }: DataSource): void {
  const { master } = driver as { master?: Partial<Emitting> };
  if (typeof master?.on !== 'function' || heard.has(master as Emitting)) return;
  const pool = master as Emitting;
  heard.add(pool);
  pool.on('acquire', (client) => {
    if (heard.has(client)) return;
    heard.add(client);
    client.on('error', () => undefined);
  });
}
