import { postgresUrl, startPostgres } from '../test/support/servers/postgres.js';
import type { PrivateServer } from '../test/support/servers/private-server.js';
import { startRedis } from '../test/support/servers/redis.js';
import { preparePostgres } from './records/postgres.js';
import type { Store } from './subjects.js';

/** A server of the bench's own. */
export interface StoreServer {
  readonly url: string;
  readonly port: number;
  stop(): Promise<void>;
}

/** `undefined` for the memory, which needs none. */
export async function startServer(store: Store): Promise<StoreServer | undefined> {
  switch (store) {
    case 'memory':
      return undefined;
    case 'redis': {
      const server = await startRedis();
      return opened(server, `redis://127.0.0.1:${server.port}`);
    }
    case 'postgres': {
      const server = await startPostgres({ settings: { max_connections: '200' } });
      const url = postgresUrl(server.port);
      await preparePostgres(url);
      return opened(server, url);
    }
  }
}

function opened(server: PrivateServer, url: string): StoreServer {
  return { url, port: server.port, stop: () => server.stop() };
}
