import { type DynamicModule, Module, ValidationPipe } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { Redis } from 'ioredis';
import { IdempotencyModule } from 'nestjs-idempotency';
import { DataSource } from 'typeorm';
import { CategoriesModule } from './categories/categories.module.js';
import { CommentsModule } from './comments/comments.module.js';
import type { ShopConfig } from './config.js';
import { CouponsModule } from './coupons/coupons.module.js';
import { DatabaseModule } from './database/database.module.js';
import { EffectsModule } from './effects/effects.module.js';
import { FlakyModule } from './flaky/flaky.module.js';
import { GoodsModule } from './goods/goods.module.js';
import { HealthModule } from './health/health.module.js';
import { ImportsModule } from './imports/imports.module.js';
import { LedgerModule } from './ledger/ledger.module.js';
import { MessagesModule } from './messages/messages.module.js';
import type { OrderBus } from './messages/order-bus.js';
import { OrdersModule } from './orders/orders.module.js';
import { PaymentsModule } from './payments/payments.module.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { invalidRequest } from './problems/problems.js';
import { recordsIn } from './records/records.js';
import { RedisModule } from './records/redis.module.js';
import { ReportsModule } from './reports/reports.module.js';
import { SignInGuard } from './sign-in/sign-in.guard.js';
import { SlowModule } from './slow/slow.module.js';
import { TransfersModule } from './transfers/transfers.module.js';
import { VotesModule } from './votes/votes.module.js';

@Module({
  imports: [
    EffectsModule,
    LedgerModule,
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
  ],
  providers: [
    { provide: APP_GUARD, useClass: SignInGuard },
    {
      provide: APP_PIPE,
      useValue: new ValidationPipe({
        whitelist: true,
        transform: true,
        exceptionFactory: invalidRequest,
      }),
    },
    { provide: APP_FILTER, useClass: ProblemFilter },
  ],
})
export class AppModule {
  static for(config: ShopConfig, bus: OrderBus): DynamicModule {
    const { records, lease } = config;
    return {
      module: AppModule,
      imports: [
        DatabaseModule.for(config),
        MessagesModule.on(bus),
        ImportsModule.for(config),
        ...(records.store === 'redis' ? [RedisModule.at(records.url)] : []),
        IdempotencyModule.forRootAsync({
          inject: [DataSource, { token: Redis, optional: true }],
          useFactory: (dataSource: DataSource, redis?: Redis) => ({
            ...recordsIn(config, dataSource, redis),
            principal: (call) => call.request.user?.id,
            defaults: { lease },
          }),
          // POST /idempotency/tokens: where clients ask for tokens.
          tokenController: true,
        }),
      ],
    };
  }
}
