import { AsyncLocalStorage } from 'node:async_hooks';
import type { DataSource, EntityManager } from 'typeorm';

interface Current {
  readonly dataSource: DataSource;
  readonly manager: EntityManager;
}

/** One for all copies of the package in the process. */
const STORAGE = Symbol.for('nestjs-idempotency:typeorm-transaction');
type Shared = typeof globalThis & { [STORAGE]?: AsyncLocalStorage<Current> };
const storage = ((globalThis as Shared)[STORAGE] ??= new AsyncLocalStorage<Current>());

/**
 * The manager to write with: that of the transaction which the present handler runs in, with
 * `transaction: true`; elsewhere the data source's own. Lets repositories and services take part
 * in the transaction without being handed a manager.
 *
 * @example
 * await currentManager(this.dataSource).save(payment);
 */
export function currentManager(dataSource: DataSource): EntityManager {
  const current = storage.getStore();
  return current?.dataSource === dataSource ? current.manager : dataSource.manager;
}

/** True while the present code runs in a transaction of this data source. */
export function isInTransaction(dataSource: DataSource): boolean {
  return storage.getStore()?.dataSource === dataSource;
}

export function runWithManager<T>(current: Current, work: () => T): T {
  return storage.run(current, work);
}
