import type { Type } from '@nestjs/common';
import { Redis } from 'ioredis';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { IdempotencyRecord, TypeOrmResources, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { FaultInjectingStore } from 'nestjs-idempotency/testing';
import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import { boot, PATIENT, type Platform, type TestApp } from '../../support/http.js';
import { sharedRedis, type SharedServer } from '../../support/servers/shared.js';
import { MARIADB, POSTGRES, type SqlDatabase } from '../../support/sql-databases.js';

export const PLACES = [POSTGRES, MARIADB].flatMap((kind) =>
  (['the database', 'Redis'] as const).map((records) => ({ kind, records })),
);
type Place = (typeof PLACES)[number];

/** Instances of an application, two by two, with a database and a store in common. */
export class Instances {
  private readonly apps: TestApp[] = [];
  /** Stands between the first instances and the store. */
  readonly firstStore: FaultInjectingStore;

  private constructor(
    readonly dataSource: DataSource,
    private readonly store: IdempotencyStore,
    private readonly release: () => Promise<void>,
  ) {
    this.firstStore = new FaultInjectingStore(store);
  }

  static async on({ kind, records }: Place, entities: EntityTarget<ObjectLiteral>[]) {
    const [database, redis] = await Promise.all([kind.start(), sharedRedis()]);
    const dataSource = await tables(database, entities);
    const client = new Redis(redis.url);
    const store =
      records === 'Redis'
        ? new RedisStore({ client })
        : new TypeOrmStore({ dataSource, purge: false });
    return new Instances(dataSource, store, () => stop(client, redis, database));
  }

  async open(controller: Type, order: readonly Platform[]): Promise<[TestApp, TestApp]> {
    // Beside a store with faults there is no transaction for both.
    const resources = new TypeOrmResources({ dataSource: this.dataSource });
    const stores = [this.firstStore, this.store];
    const opened = order.map((platform, index) =>
      boot(platform, {
        controllers: [controller],
        idempotency: { ...PATIENT, store: stores[index], resources },
      }),
    );
    const pair = (await Promise.all(opened)) as [TestApp, TestApp];
    this.apps.push(...pair);
    return pair;
  }

  async close(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.close()));
    await this.release();
  }
}

async function tables(database: SqlDatabase, entities: EntityTarget<ObjectLiteral>[]) {
  const dataSource = await database.connect({
    entities: [IdempotencyRecord, ...entities] as never,
    synchronize: true,
  });
  await dataSource.runMigrations();
  return dataSource;
}

async function stop(client: Redis, redis: SharedServer, database: SqlDatabase): Promise<void> {
  client.disconnect();
  await Promise.all([redis.stop(), database.stop()]);
}
