import { type DynamicModule, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';

/** No command waits longer than this, whether or not the server is there. */
const COMMAND_TIMEOUT_MS = 2_000;

/** The shop's only Redis client, closed after everything that uses it. */
@Module({})
export class RedisModule implements OnApplicationShutdown {
  constructor(private readonly client: Redis) {}

  static at(url: string): DynamicModule {
    return {
      module: RedisModule,
      global: true,
      providers: [{ provide: Redis, useFactory: () => connect(url) }],
      exports: [Redis],
    };
  }

  onApplicationShutdown(): void {
    this.client.disconnect();
  }
}

function connect(url: string): Redis {
  const logger = new Logger('Redis');
  const client = new Redis(url, { commandTimeout: COMMAND_TIMEOUT_MS });
  let isTold = false;
  client.on('ready', () => (isTold = false));
  // Logged once for each outage, because the client emits an error for each retry.
  client.on('error', (error: Error) => {
    if (!isTold) logger.warn(`Not connected: ${error.message}`);
    isTold = true;
  });
  return client;
}
