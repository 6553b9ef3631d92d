import type { ShopConfig } from '../../shop/setup/config.js';

/** Short, so that nobody waits for long until the work of a dead worker is taken over. */
const LEASE = '5s';

/** What makes a worker share the records of this shop, and nothing that it does not need. */
export function workerEnvironment(
  { records, http }: ShopConfig,
  databaseUrl: string,
): NodeJS.ProcessEnv {
  return {
    DATABASE_URL: databaseUrl,
    STORE: records.store,
    REDIS_URL: records.store === 'redis' ? records.url : '',
    RABBITMQ_URL: '',
    HTTP: http,
    LEASE,
  };
}
