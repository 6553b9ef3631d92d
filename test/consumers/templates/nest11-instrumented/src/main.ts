import 'reflect-metadata';
import {
  Body,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  Module,
  Post,
  Scope,
} from '@nestjs/common';
import { APP_GUARD, NestFactory } from '@nestjs/core';
import { ClientProxyFactory, MessagePattern, Payload, Transport } from '@nestjs/microservices';
import {
  arg,
  IdempotencyModule,
  IdempotencyService,
  Idempotent,
  payload,
} from 'nestjs-idempotency';
import { firstValueFrom } from 'rxjs';

/** How often the work of each handler was done. */
const effects: Record<string, number> = {};
/** Handlers that the framework calls through a function of somebody else. */
const wrapped = new Set<string>();

function done(name: string): { name: string; run: number } {
  effects[name] = (effects[name] ?? 0) + 1;
  return { name, run: effects[name] };
}

@Injectable()
class Charges {
  @Idempotent({ key: arg(0) })
  async charge(id: string): Promise<object> {
    await Promise.resolve(id);
    return done('provider');
  }
}

@Controller('payments')
class PaymentsController {
  constructor(private readonly charges: Charges) {}

  @Post()
  @Idempotent()
  async pay(@Body() _payment: object): Promise<object> {
    await Promise.resolve();
    return done('route');
  }

  @Get('charge')
  charge(): Promise<object> {
    return this.charges.charge('c1');
  }
}

@Controller({ path: 'refunds', scope: Scope.REQUEST })
@Idempotent()
class RefundsController {
  @Post()
  refund(): object {
    return done('class');
  }
}

@Controller()
class OrdersController {
  @Idempotent({ key: payload('id') })
  @MessagePattern('order')
  async order(@Payload() _order: object): Promise<object> {
    await Promise.resolve();
    return done('message');
  }
}

@Injectable()
class Observer implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const handler = context.getHandler();
    const type = context.getClass() as { prototype: Record<string, unknown> };
    if (type.prototype[handler.name] !== handler) wrapped.add(handler.name);
    return true;
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({})],
  controllers: [PaymentsController, RefundsController, OrdersController],
  providers: [Charges, { provide: APP_GUARD, useClass: Observer }],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: ['error', 'warn'] });
  const options = { host: '127.0.0.1', port: Number(process.env.MESSAGES_PORT) };
  app.connectMicroservice({ transport: Transport.TCP, options }, { inheritAppConfig: true });
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  const answers: string[] = [];
  const told = async (path: string, method = 'POST'): Promise<void> => {
    const response = await fetch(`${url}${path}`, { method, headers: { 'idempotency-key': 'k1' } });
    answers.push(
      `${path} ${response.status} ${response.headers.get('idempotent-replayed')} ${await response.text()}`,
    );
  };
  for (let call = 0; call < 2; call += 1) {
    await told('/payments');
    await told('/refunds');
    await told('/payments/charge', 'GET');
    answers.push(
      `order ${JSON.stringify(await firstValueFrom(client.send('order', { id: 'o1' })))}`,
    );
  }
  const coverage = app.get(IdempotencyService).coverage();
  client.close();
  await app.close();
  const { spanNames } = globalThis as { spanNames?: () => string[] };
  const result = { effects, wrapped: [...wrapped], answers, coverage, spans: spanNames?.() ?? [] };
  process.stdout.write(`RESULT ${JSON.stringify(result)}\n`, () => process.exit(0));
}

void main();
