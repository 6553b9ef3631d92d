import type { DatabaseKind } from '../../sample/support/databases.js';
import { type Platform } from '../../support/http.js';
import {
  sharedMariadb,
  sharedPostgres,
  sharedRedis,
  type SharedServer,
} from '../../support/servers/shared.js';

/** Where records are, and which HTTP adapter a shop has. Business data is in the database always. */
export interface Shop {
  readonly records: 'the database' | 'Redis';
  readonly http: Platform;
}

type Shops = Record<DatabaseKind['type'], readonly Shop[]>;

/** Each database and both places for records. */
export const SHOPS: Shops = {
  postgres: [{ records: 'the database', http: 'express' }],
  mysql: [{ records: 'Redis', http: 'express' }],
};

/** The other place for records, on the other adapter. */
export const OTHER_SHOPS: Shops = {
  postgres: [{ records: 'Redis', http: 'fastify' }],
  mysql: [{ records: 'the database', http: 'fastify' }],
};

/** Databases and parts of a Redis, for several shops that know nothing of each other. */
export class Servers {
  private readonly shares: SharedServer[] = [];

  constructor(private readonly kind: DatabaseKind) {}

  /** The environment of a shop that has what it is given for itself. */
  async environment(shop: Shop): Promise<{ DATABASE_URL: string; REDIS_URL?: string }> {
    const database = this.kind.type === 'postgres' ? sharedPostgres() : sharedMariadb();
    const DATABASE_URL = (await this.keep(database)).url;
    if (shop.records !== 'Redis') return { DATABASE_URL };
    return { DATABASE_URL, REDIS_URL: (await this.keep(sharedRedis())).url };
  }

  async stop(): Promise<void> {
    await Promise.all(this.shares.map((share) => share.stop()));
  }

  private async keep(share: Promise<SharedServer>): Promise<SharedServer> {
    const kept = await share;
    this.shares.push(kept);
    return kept;
  }
}
