import { BullModule } from '@nestjs/bullmq';
import { type DynamicModule, Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { IdempotencyQueueModule } from 'nestjs-idempotency/bullmq';
import type { ShopConfig } from '../setup/config.js';
import { ImportedRow } from './imported-row.entity.js';
import { IMPORTS, ImportsController } from './imports.controller.js';
import { ImportsProcessor } from './imports.processor.js';
import { NoImportsController } from './no-imports.controller.js';

@Module({})
export class ImportsModule {
  static for({ redisUrl }: ShopConfig): DynamicModule {
    const module = ImportsModule;
    const rows = TypeOrmModule.forFeature([ImportedRow]);
    if (redisUrl === undefined)
      return { module, imports: [rows], controllers: [NoImportsController] };
    const defaultJobOptions = { attempts: 5, backoff: { type: 'exponential', delay: 200 } };
    return {
      module,
      imports: [
        rows,
        BullModule.forRoot({ connection: { url: redisUrl } }),
        BullModule.registerQueue({ name: IMPORTS, defaultJobOptions }),
        IdempotencyQueueModule,
      ],
      controllers: [ImportsController],
      providers: [ImportsProcessor],
    };
  }
}
