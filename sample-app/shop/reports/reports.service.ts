import { Injectable } from '@nestjs/common';
import { Cron } from '@nestjs/schedule';
import { IdempotencyService, Idempotent, tick } from 'nestjs-idempotency';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { readConfig } from '../setup/config.js';
import { Order } from '../orders/order.entity.js';
import { RECORDS_IN_DATABASE } from '../setup/records/records-in-database.js';
import { Report } from './report.entity.js';

@Injectable()
export class ReportsService {
  constructor(
    private readonly database: DataSource,
    private readonly idempotency: IdempotencyService,
  ) {}

  /** Every shop has this timer. Of all shops that share their records, one writes the report. */
  @Cron(readConfig().reportCron)
  @Idempotent({ key: tick(), transaction: RECORDS_IN_DATABASE, ttl: '1h' })
  async write(): Promise<void> {
    const manager = currentManager(this.database);
    const at = this.idempotency.current()!.key!;
    await manager.insert(Report, { at, orders: await manager.count(Order) });
  }
}
