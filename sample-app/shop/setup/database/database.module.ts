import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule, type TypeOrmModuleOptions } from '@nestjs/typeorm';
import { CreateIdempotencyRecords1763700000000 } from 'nestjs-idempotency/typeorm';
import { DataSource, type DataSourceOptions } from 'typeorm';
import type { DatabaseConfig, ShopConfig } from '../config.js';
import { EmbeddedPostgresModule } from './embedded-postgres.module.js';
import { EmbeddedPostgres } from './embedded-postgres.js';
import { createTables } from './create-tables.js';

const TABLES = {
  autoLoadEntities: true,
  /** The table of the records, whose schema is the library's. */
  migrations: [CreateIdempotencyRecords1763700000000],
} satisfies TypeOrmModuleOptions;

/** The shop's one database, with its tables. */
@Module({})
export class DatabaseModule {
  static for({ database }: ShopConfig): DynamicModule {
    return { module: DatabaseModule, imports: [database ? shared(database) : embedded()] };
  }
}

function embedded(): DynamicModule {
  return TypeOrmModule.forRootAsync({
    imports: [EmbeddedPostgresModule],
    inject: [EmbeddedPostgres],
    useFactory: ({ url }: EmbeddedPostgres) => ({
      ...TABLES,
      type: 'postgres',
      url,
      // The embedded server has one session. A query beside an open transaction would wait
      // for ever, so every request shares one connection, and it never idles out.
      poolSize: 1,
      extra: { idleTimeoutMillis: 0 },
      synchronize: true,
      migrationsRun: true,
    }),
  });
}

/** A server that other shops may use at the same time. */
function shared({ type, url }: DatabaseConfig): DynamicModule {
  return TypeOrmModule.forRootAsync({
    useFactory: () => ({ ...TABLES, type, url }),
    dataSourceFactory: async (options) => {
      const dataSource = await new DataSource(options as DataSourceOptions).initialize();
      await createTables(dataSource);
      return dataSource;
    },
  });
}
