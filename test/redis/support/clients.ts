import { Redis } from 'ioredis';
import { RedisStore } from 'nestjs-idempotency/redis';
import { createClient } from 'redis';
import type { AppClient } from '../../processes/support/nodes.js';

/** Both libraries, with the settings that they come with. */
export const APP_CLIENTS: readonly {
  name: string;
  open: (port: number) => AppClient<RedisStore>;
  /** Sends commands again that were on their way when the connection broke. */
  resends: boolean;
}[] = [
  {
    name: 'ioredis',
    resends: true,
    open: (port) => {
      const client = new Redis(port, { retryStrategy: () => 50 });
      client.on('error', () => undefined);
      return { store: new RedisStore({ client }), close: () => client.disconnect() };
    },
  },
  {
    name: 'node-redis',
    resends: false,
    open: (port) => {
      const client = createClient({
        socket: { host: '127.0.0.1', port, reconnectStrategy: () => 50 },
      });
      client.on('error', () => undefined);
      client.connect().catch(() => undefined);
      return { store: new RedisStore({ client }), close: () => client.destroy() };
    },
  },
];
