import { type DynamicModule, Module } from '@nestjs/common';
import type { OrderBus } from '../shop/messages/order-bus.js';
import type { ShopConfig } from '../shop/setup/config.js';
import { ShopModule } from '../shop/shop.module.js';
import { EffectsModule } from './effects/effects.module.js';
import { LedgerModule } from './ledger/ledger.module.js';
import { PageModule } from './page/page.module.js';
import { TimelineModule } from './timeline/timeline.module.js';
import { WorkerModule } from './worker/worker.module.js';

/** The shop, and all that shows what happens in it. */
@Module({ imports: [TimelineModule, PageModule, EffectsModule, LedgerModule] })
export class ShowModule {
  static for(config: ShopConfig, bus: OrderBus): DynamicModule {
    return {
      module: ShowModule,
      imports: [ShopModule.for(config, bus), WorkerModule.for(config)],
    };
  }
}
