import type { Type } from '@nestjs/common';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { DataSource, EntityTarget, ObjectLiteral } from 'typeorm';
import { type AppOptions, boot, PATIENT, type Platform, type TestApp } from '../../support/http.js';
import {
  MARIADB,
  POSTGRES,
  type SqlDatabase,
  type SqlDatabaseKind,
  SQLITE,
} from '../../support/sql-databases.js';
import { ENTITIES } from './entities.js';

const place = (kind: SqlDatabaseKind, platform: Platform) => ({
  kind,
  platform,
  name: `${kind.name}, ${platform}`,
});

/**
 * Every dialect, and both platforms: what a database does, no platform knows. PGlite answers
 * PostgreSQL's statements, as the tests of transactions and of the sample shop show.
 */
export const PLACES = [
  place(POSTGRES, 'express'),
  place(MARIADB, 'fastify'),
  place(SQLITE, 'express'),
];

/** An application on a database of its own, with the tables of the entities. */
export class StrategyShop {
  private app: TestApp | undefined;
  private lastId = 0;

  private constructor(
    private readonly database: SqlDatabase,
    readonly dataSource: DataSource,
  ) {}

  static async on(kind: SqlDatabaseKind): Promise<StrategyShop> {
    const database = await kind.start();
    const dataSource = await database.connect({ entities: ENTITIES, synchronize: true });
    await dataSource.runMigrations();
    return new StrategyShop(database, dataSource);
  }

  store(): IdempotencyStore {
    return new TypeOrmStore({ dataSource: this.dataSource, purge: false });
  }

  async open(
    platform: Platform,
    controller: Type,
    options: AppOptions['idempotency'] = { store: this.store() },
  ): Promise<TestApp> {
    this.app = await boot(platform, {
      controllers: [controller],
      idempotency: { ...PATIENT, ...options },
    });
    return this.app;
  }

  /** The id of a row that is there from now on. */
  async add<Row extends ObjectLiteral>(
    entity: EntityTarget<Row>,
    values: Partial<Row> = {},
  ): Promise<number> {
    const id = (this.lastId += 1);
    await this.dataSource.getRepository(entity).insert({ id, ...values } as never);
    return id;
  }

  row<Row extends ObjectLiteral>(entity: EntityTarget<Row>, id: number): Promise<Row> {
    return this.dataSource.getRepository(entity).findOneByOrFail({ id } as never);
  }

  async close(): Promise<void> {
    await this.app?.close();
    await this.database.stop();
  }
}
