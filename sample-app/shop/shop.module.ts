import { type DynamicModule, Module } from '@nestjs/common';
import { BasicsModule } from './basics.module.js';
import { CategoriesModule } from './categories/categories.module.js';
import { CommentsModule } from './comments/comments.module.js';
import { CouponsModule } from './coupons/coupons.module.js';
import { FlakyModule } from './flaky/flaky.module.js';
import { GoodsModule } from './goods/goods.module.js';
import { HealthModule } from './health/health.module.js';
import { ImportsModule } from './imports/imports.module.js';
import { MessagesModule } from './messages/messages.module.js';
import type { OrderBus } from './messages/order-bus.js';
import { OperatorsModule } from './operators/operators.module.js';
import { OrdersModule } from './orders/orders.module.js';
import { PaymentsModule } from './payments/payments.module.js';
import { ReportsModule } from './reports/reports.module.js';
import type { ShopConfig } from './setup/config.js';
import { DatabaseModule } from './setup/database/database.module.js';
import { SlowModule } from './slow/slow.module.js';
import { TransfersModule } from './transfers/transfers.module.js';
import { VotesModule } from './votes/votes.module.js';

@Module({
  imports: [
    HealthModule,
    OrdersModule,
    PaymentsModule,
    TransfersModule,
    GoodsModule,
    CategoriesModule,
    CouponsModule,
    CommentsModule,
    VotesModule,
    SlowModule,
    FlakyModule,
    ReportsModule,
    OperatorsModule,
  ],
})
export class ShopModule {
  static for(config: ShopConfig, bus: OrderBus): DynamicModule {
    return {
      module: ShopModule,
      imports: [
        BasicsModule.for(config),
        DatabaseModule.for(config),
        MessagesModule.on(bus),
        ImportsModule.for(config),
      ],
    };
  }
}
