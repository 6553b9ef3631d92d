import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { isIdempotencyError } from '../operation/idempotency.exception.js';
import { IdempotencyService } from '../idempotency.service.js';

/**
 * Checks whether records can be written. Each check writes one record that expires at once, and
 * takes no longer than `storeTimeout`.
 *
 * @example
 * ```ts
 * @Get()
 * @HealthCheck()
 * check() {
 *   return this.health.check([() => this.idempotency.isHealthy('idempotency')]);
 * }
 * ```
 */
@Injectable()
export class IdempotencyHealthIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly moduleRef: ModuleRef,
  ) {}

  /** @param key the name in the report */
  async isHealthy<const Key extends string = 'idempotency'>(
    key: Key = 'idempotency' as Key,
  ): Promise<HealthIndicatorResult<Key>> {
    const indicator = this.indicators.check(key);
    try {
      await this.moduleRef.get(IdempotencyService, { strict: false }).checkStore();
    } catch (error) {
      if (!isIdempotencyError(error)) throw error;
      // The cause is only for logs, because anybody may be able to read a health report.
      return indicator.down(error.problem.title);
    }
    return indicator.up();
  }
}
