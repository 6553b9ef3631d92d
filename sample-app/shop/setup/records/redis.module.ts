import { type DynamicModule, Logger, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Redis } from 'ioredis';

/** No command waits longer than this, whether or not the server is there. */
const COMMAND_TIMEOUT_MS = 2_000;

/** The shop's one client of Redis, closed after everything that uses it. */
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
  // Once for each outage: the client tries again by itself, and says so every time.
  client.on('error', (error: Error) => {
    if (!isTold) logger.warn(`Not connected: ${error.message}`);
    isTold = true;
  });
  return client;
}
