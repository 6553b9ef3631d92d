import { Global, type MiddlewareConsumer, Module, type NestModule } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { RequestsMiddleware } from './requests.middleware.js';
import { SlowMotion } from './slow-motion.interceptor.js';
import { TimelineController } from './timeline.controller.js';
import { Timeline } from './timeline.js';

@Global()
@Module({
  controllers: [TimelineController],
  providers: [Timeline, { provide: APP_INTERCEPTOR, useClass: SlowMotion }],
  exports: [Timeline],
})
export class TimelineModule implements NestModule {
  configure(consumer: MiddlewareConsumer): void {
    consumer.apply(RequestsMiddleware).forRoutes('{*path}');
  }
}
