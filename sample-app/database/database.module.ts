import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { EmbeddedPostgresModule } from './embedded-postgres.module.js';
import { EmbeddedPostgres } from './embedded-postgres.js';

@Module({
  imports: [
    TypeOrmModule.forRootAsync({
      imports: [EmbeddedPostgresModule],
      inject: [EmbeddedPostgres],
      useFactory: (postgres: EmbeddedPostgres) => ({
        type: 'postgres',
        url: postgres.url,
        // The embedded server has one session. A query beside an open transaction would wait
        // for ever, so every request shares one connection, and it never idles out.
        poolSize: 1,
        extra: { idleTimeoutMillis: 0 },
        autoLoadEntities: true,
        // The schema follows the entities: right for a sample, never for real data.
        synchronize: true,
      }),
    }),
  ],
})
export class DatabaseModule {}
