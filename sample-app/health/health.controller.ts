import { Controller, Get, Optional, ServiceUnavailableException } from '@nestjs/common';
import { Redis } from 'ioredis';
import { DataSource } from 'typeorm';

@Controller('health')
export class HealthController {
  constructor(
    private readonly database: DataSource,
    @Optional() private readonly redis?: Redis,
  ) {}

  /** 200 while everything that the shop needs answers. */
  @Get()
  async check(): Promise<{ status: 'ok' }> {
    await this.database.query('SELECT 1');
    await this.redis?.ping().catch(() => {
      throw new ServiceUnavailableException('Redis does not answer.');
    });
    return { status: 'ok' };
  }
}
