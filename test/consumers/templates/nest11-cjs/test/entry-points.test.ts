import 'reflect-metadata';
import { Controller, Get, type INestApplication, Module } from '@nestjs/common';
import { DocumentBuilder } from '@nestjs/swagger';
import { HealthCheck, HealthCheckService, TerminusModule } from '@nestjs/terminus';
import { Test } from '@nestjs/testing';
import { IDEMPOTENCY_STORE, IdempotencyModule } from 'nestjs-idempotency';
import { type IdempotencyStore, isPurging } from 'nestjs-idempotency/contracts';
import { IdempotencyTelemetryModule } from 'nestjs-idempotency/opentelemetry';
import { createIdempotentDocument } from 'nestjs-idempotency/swagger';
import { IdempotencyHealthIndicator } from 'nestjs-idempotency/terminus';
import { PaymentsController } from '../src/payments.controller';

@Controller('health')
class HealthController {
  constructor(
    private readonly health: HealthCheckService,
    private readonly idempotency: IdempotencyHealthIndicator,
  ) {}

  @Get()
  @HealthCheck()
  check() {
    return this.health.check([() => this.idempotency.isHealthy('records')]);
  }
}

@Module({
  imports: [
    IdempotencyModule.forRoot({ encryption: { keys: ['0'.repeat(64)] } }),
    IdempotencyTelemetryModule,
    TerminusModule,
  ],
  providers: [IdempotencyHealthIndicator],
  controllers: [PaymentsController, HealthController],
})
class AppModule {}

describe('the entry points for other packages', () => {
  let app: INestApplication;
  let url: string;

  beforeAll(async () => {
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = module.createNestApplication();
    await app.listen(0, '127.0.0.1');
    url = await app.getUrl();
  });

  afterAll(() => app.close());

  it('describe the API', () => {
    const document = createIdempotentDocument(app, new DocumentBuilder().build());
    const { parameters, responses } = document.paths['/payments']!.post!;
    expect(parameters).toMatchObject([{ in: 'header', name: 'Idempotency-Key', required: true }]);
    expect(Object.keys(responses)).toEqual(
      expect.arrayContaining(['201', '400', '409', '422', '503']),
    );
  });

  it('report health', async () => {
    const reply = await fetch(`${url}/health`);
    expect(await reply.json()).toMatchObject({ info: { records: { status: 'up' } } });
  });

  it('replay what is encrypted', async () => {
    const init = {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': '1' },
      body: JSON.stringify({ orderId: 'order-1', amount: 42 }),
    };
    const first = await fetch(`${url}/payments`, init);
    const second = await fetch(`${url}/payments`, init);
    expect(await second.text()).toBe(await first.text());
    expect(second.headers.get('idempotent-replayed')).toBe('true');
  });

  it('know the store by its contract', () => {
    const store = app.get<IdempotencyStore>(IDEMPOTENCY_STORE);
    expect(isPurging(store)).toBe(true);
  });
});
