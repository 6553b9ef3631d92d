import { type DynamicModule, Module, ValidationPipe } from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_PIPE } from '@nestjs/core';
import { Redis } from 'ioredis';
import { IdempotencyModule } from 'nestjs-idempotency';
import { DataSource } from 'typeorm';
import { ProblemFilter } from './common/problems/problem.filter.js';
import { invalidRequest } from './common/problems/problems.js';
import { SignInGuard } from './common/sign-in/sign-in.guard.js';
import type { ShopConfig } from './setup/config.js';
import { recordsIn } from './setup/records/records.js';
import { RedisModule } from './setup/records/redis.module.js';

/**
 * What every process of the shop needs: records, the caller, validation, and a common form of
 * errors.
 */
@Module({
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
