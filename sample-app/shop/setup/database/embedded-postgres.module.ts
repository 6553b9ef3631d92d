import { Module } from '@nestjs/common';
import { EmbeddedPostgres } from './embedded-postgres.js';

@Module({
  providers: [{ provide: EmbeddedPostgres, useFactory: () => EmbeddedPostgres.start() }],
  exports: [EmbeddedPostgres],
})
export class EmbeddedPostgresModule {}
