import { Body, Controller, Post } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Idempotent, IdempotencyModule } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';

@Controller()
class ProtectedOrders {
  @Post('protected')
  @Idempotent()
  protected(@Body() order: object): object {
    return { id: 1, ...order };
  }
}

/** An application whose calls are measured, without a network. */
export class MeasuredApp {
  private keys = 0;

  private constructor(private readonly app: NestFastifyApplication) {}

  static async open(
    store: IdempotencyStore,
    controllers: (new () => unknown)[] = [],
  ): Promise<MeasuredApp> {
    const module = await Test.createTestingModule({
      imports: [IdempotencyModule.forRoot({ store, principal: () => 'alice' })],
      controllers: [ProtectedOrders, ...controllers],
    }).compile();
    const app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
    await app.getHttpAdapter().getInstance().ready();
    return new MeasuredApp(app);
  }

  close(): Promise<void> {
    return this.app.close();
  }

  readonly newKey = (): string => `key-${(this.keys += 1)}`;

  /** The statuses of so many calls, and whether each was new. */
  async repeat(calls: number, url: string, key: () => string): Promise<Set<string>> {
    const told = new Set<string>();
    for (let i = 0; i < calls; i++) told.add(await this.send(url, key()));
    return told;
  }

  private async send(url: string, key: string): Promise<string> {
    const reply = await this.app.inject({
      method: 'POST',
      url,
      headers: { 'idempotency-key': key },
      payload: { sku: 'tea', quantity: 3 },
    });
    return `${reply.statusCode} ${String(reply.headers['idempotent-replayed'] ?? 'new')}`;
  }
}
