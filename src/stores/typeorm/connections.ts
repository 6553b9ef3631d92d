import type { DataSource } from 'typeorm';
import { isInTransaction } from './current-manager.js';
import { dialectOf } from './dialect.js';

type Obtain = (this: unknown, ...args: never[]) => unknown;

/**
 * Who may begin a transaction on a data source. Where there is one connection, transactions come
 * one after the other, and work inside of one that asks for a second connection is told so: it
 * would wait for itself.
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
      if (hasPoolOfOne(dataSource)) refuseSecondConnection(dataSource);
    }
    return connections;
  }

  /** Waits for its turn; what it answers with ends the turn. */
  async take(): Promise<() => void> {
    if (!this.isSingle) return () => undefined;
    const before = this.last;
    let letGo = (): void => undefined;
    this.last = new Promise((resolve) => (letGo = resolve));
    await before;
    return letGo;
  }
}

function hasPoolOfOne({ driver }: DataSource): boolean {
  const { master, pool } = driver as {
    master?: { options?: { max?: number } };
    pool?: { config?: { connectionLimit?: number } };
  };
  return master?.options?.max === 1 || pool?.config?.connectionLimit === 1;
}

function refuseSecondConnection(dataSource: DataSource): void {
  const driver = dataSource.driver as unknown as { obtainMasterConnection: Obtain };
  const obtain = driver.obtainMasterConnection;
  driver.obtainMasterConnection = function (...args) {
    if (isInTransaction(dataSource)) {
      throw new Error(
        'This code runs in the transaction of an idempotent operation, which has the only ' +
          'connection of the pool, and asks for another one: it would wait for itself. Use ' +
          'op.manager or currentManager(dataSource), or a pool of more than one connection.',
      );
    }
    return obtain.apply(this, args);
  };
}

/** The part of a pool of `pg`, and of its clients, that is needed here. */
interface Emitting {
  on(event: 'acquire' | 'error', listener: (client: Emitting) => void): unknown;
}

const heard = new WeakSet<Emitting>();

/**
 * A connection of `pg` that breaks in the moment in which its pool hands it to TypeORM has nobody
 * who listens, and Node would end the process. Whoever uses it next is told all the same.
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
