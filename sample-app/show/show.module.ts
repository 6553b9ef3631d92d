import { type DynamicModule, Module, UseInterceptors } from '@nestjs/common';
import type { OrderBus } from '../shop/messages/order-bus.js';
import { OrderEventsConsumer } from '../shop/messages/order-events.consumer.js';
import { SmsConsumer } from '../shop/messages/sms.consumer.js';
import type { ShopConfig } from '../shop/setup/config.js';
import { ShopModule } from '../shop/shop.module.js';
import { EffectsModule } from './effects/effects.module.js';
import { LedgerModule } from './ledger/ledger.module.js';
import { PageModule } from './page/page.module.js';
import { ShowsDeliveries } from './timeline/shows-deliveries.interceptor.js';
import { TimelineModule } from './timeline/timeline.module.js';
import { UnprotectedModule } from './unprotected/unprotected.module.js';
import { WorkerModule } from './worker/worker.module.js';

// From here, so that the shop knows nothing of a timeline. Global interceptors of a microservice that is
// connected to an application come too late: its listeners are registered by then.
for (const consumer of [OrderEventsConsumer, SmsConsumer])
  UseInterceptors(ShowsDeliveries)(consumer);

/** The shop, and all that shows what happens in it. */
@Module({ imports: [TimelineModule, PageModule, EffectsModule, LedgerModule] })
export class ShowModule {
  static for(config: ShopConfig, bus: OrderBus): DynamicModule {
    return {
      module: ShowModule,
      imports: [ShopModule.for(config, bus), UnprotectedModule, WorkerModule.for(config)],
    };
  }
}
