import type { DataSource } from 'typeorm';
import { isInTransaction } from './current-manager.js';
import { dialectOf } from './dialect.js';

type Obtain = (this: unknown, ...args: never[]) => unknown;

/**
 * Decides who may begin a transaction on a data source. If there is only one connection,
 * transactions run one after the other, and work in a transaction that asks for a second connection
 * gets an error, because it would wait for itself.
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
          'connection of the pool, and asks for another one. It would wait for itself. Use ' +
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
