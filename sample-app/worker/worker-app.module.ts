import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { BasicsModule } from '../basics.module.js';
import type { ShopConfig } from '../config.js';

/** As much of the shop as it takes to be killed at work. The shop has made the tables. */
@Module({})
export class WorkerAppModule {
  static for(config: ShopConfig): DynamicModule {
    // One connection: the embedded database lets each in turn have its one session.
    const database = TypeOrmModule.forRoot({ ...config.database, poolSize: 1 });
    return { module: WorkerAppModule, imports: [BasicsModule.for(config), database] };
  }
}
