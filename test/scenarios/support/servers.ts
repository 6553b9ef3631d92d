import { createDatabase, type DatabaseKind } from '../../sample/support/databases.js';
import { PLATFORMS } from '../../support/http.js';
import type { PrivateServer } from '../../support/servers/private-server.js';
import { startRedis } from '../../support/servers/redis.js';

/** Where records are, and which HTTP adapter a shop has. Business data is in the database always. */
export const SHOPS = (['the database', 'Redis'] as const).flatMap((records) =>
  PLATFORMS.map((http) => ({ records, http })),
);
export type Shop = (typeof SHOPS)[number];

/** A database server and a Redis, for several shops that know nothing of each other. */
export class Servers {
  private constructor(
    private readonly kind: DatabaseKind,
    private readonly database: PrivateServer,
    private readonly redis: PrivateServer,
  ) {}

  static async start(kind: DatabaseKind): Promise<Servers> {
    const [database, redis] = await Promise.all([kind.start(), startRedis()]);
    return new Servers(kind, database, redis);
  }

  /** The environment of a shop that has these servers for itself. */
  async environment(shop: Shop): Promise<{ DATABASE_URL: string; REDIS_URL?: string }> {
    const index = SHOPS.indexOf(shop);
    const { kind, database, redis } = this;
    return {
      DATABASE_URL: await createDatabase(kind, database.port, `shop_${index}`),
      ...(shop.records === 'Redis' && { REDIS_URL: `redis://127.0.0.1:${redis.port}/${index}` }),
    };
  }

  async stop(): Promise<void> {
    await Promise.all([this.database.stop(), this.redis.stop()]);
  }
}
