import { type DynamicModule, Module, ValidationPipe } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { Redis } from 'ioredis';
import { IdempotencyModule } from 'nestjs-idempotency';
import { DataSource } from 'typeorm';
import type { ShopConfig } from './config.js';
import { EffectsModule } from './effects/effects.module.js';
import { ProblemFilter } from './problems/problem.filter.js';
import { invalidRequest } from './problems/problems.js';
import { recordsIn } from './records/records.js';
import { RedisModule } from './records/redis.module.js';
import { SignInGuard } from './sign-in/sign-in.guard.js';
import { SlowModule } from './slow/slow.module.js';
import { TimelineModule } from './timeline/timeline.module.js';

/** What every process of the shop has: its records, who is calling, what is shown, and slow work. */
@Module({
  imports: [EffectsModule, TimelineModule, SlowModule],
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
export class BasicsModule {
  static for(config: ShopConfig): DynamicModule {
    const { records, lease } = config;
    return {
      module: BasicsModule,
      imports: [
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
