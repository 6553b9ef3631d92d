import { type DynamicModule, Module } from '@nestjs/common';
import { DataSource } from 'typeorm';
import type { ShopConfig } from '../../shop/setup/config.js';
import { Timeline } from '../timeline/timeline.js';
import { WorkerController } from './worker.controller.js';
import { Worker } from './worker.js';

@Module({})
export class WorkerModule {
  static for(config: ShopConfig): DynamicModule {
    const worker = {
      provide: Worker,
      inject: [DataSource, Timeline],
      useFactory: ({ options }: DataSource, timeline: Timeline) =>
        new Worker(config, (options as { url: string }).url, timeline),
    };
    return { module: WorkerModule, controllers: [WorkerController], providers: [worker] };
  }
}
