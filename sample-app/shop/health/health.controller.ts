import { Controller, Get } from '@nestjs/common';
import {
  HealthCheck,
  type HealthCheckResult,
  HealthCheckService,
  TypeOrmHealthIndicator,
} from '@nestjs/terminus';
import { DataSource } from 'typeorm';
import { IdempotencyHealthIndicator } from 'nestjs-idempotency/terminus';

const DATABASE_TIMEOUT_MS = 5_000;

@Controller('health')
export class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly database: TypeOrmHealthIndicator,
    private readonly dataSource: DataSource,
    private readonly records: IdempotencyHealthIndicator,
  ) {}

  /**
   * 200 while data can be read and records can be written. Otherwise 503, with the one that fails.
   */
  @Get()
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([
      // Named, because the indicator looks for it in a copy of its own of the package.
      () =>
        this.database.pingCheck('database', {
          connection: this.dataSource,
          timeout: DATABASE_TIMEOUT_MS,
        }),
      () => this.records.isHealthy('records'),
    ]);
  }
}
