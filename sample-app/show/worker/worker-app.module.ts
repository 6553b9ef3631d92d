import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { BasicsModule } from '../../shop/basics.module.js';
import type { ShopConfig } from '../../shop/setup/config.js';
import { SlowModule } from '../../shop/slow/slow.module.js';
import { EffectsModule } from '../effects/effects.module.js';
import { TimelineModule } from '../timeline/timeline.module.js';

/** As much of the shop as it takes to be killed at work. The shop has made the tables. */
@Module({ imports: [TimelineModule, EffectsModule, SlowModule] })
export class WorkerAppModule {
  static for(config: ShopConfig): DynamicModule {
    // One connection: the embedded database lets each in turn have its one session.
    const database = TypeOrmModule.forRoot({ ...config.database, poolSize: 1 });
    return { module: WorkerAppModule, imports: [BasicsModule.for(config), database] };
  }
}
