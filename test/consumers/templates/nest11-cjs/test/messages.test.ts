import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  type MicroserviceOptions,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { IdempotencyModule, Idempotent, MemoryStore, payload } from 'nestjs-idempotency';
import { lastValueFrom } from 'rxjs';

interface Order {
  readonly id: string;
  readonly amount: number;
}

const runs: string[] = [];

@Controller()
class Orders {
  @Idempotent({ key: payload('id') })
  @MessagePattern('pay')
  pay(@Payload() { id, amount }: Order): object {
    runs.push(`pay ${id}`);
    return { id, amount, run: runs.length };
  }

  @Idempotent({ key: payload('id') })
  @EventPattern('paid')
  first({ id }: Order): void {
    runs.push(`first ${id}`);
  }

  @Idempotent({ key: payload('id') })
  @EventPattern('paid')
  second({ id }: Order): void {
    runs.push(`second ${id}`);
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({ store: new MemoryStore() })],
  controllers: [Orders],
})
class AppModule {}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

it('handles messages once', async () => {
  const options = { host: '127.0.0.1', port: await freePort() };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(AppModule, {
    transport: Transport.TCP,
    options,
    logger: false,
  });
  await app.listen();
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  const ask = (order: Order): Promise<unknown> => lastValueFrom(client.send('pay', order));
  try {
    const reply = { id: 'A-1', amount: 3, run: 1 };
    expect(await ask({ id: 'A-1', amount: 3 })).toEqual(reply);
    expect(await ask({ id: 'A-1', amount: 3 })).toEqual(reply);
    await expect(ask({ id: 'A-1', amount: 4 })).rejects.toMatchObject({
      code: 'IDEMPOTENCY_KEY_REUSED',
    });
    for (let time = 0; time < 2; time++)
      await lastValueFrom(client.emit('paid', { id: 'A-2', amount: 1 }), {
        defaultValue: undefined,
      });
    await ask({ id: 'A-3', amount: 1 });
    expect([...runs].sort()).toEqual(['first A-2', 'pay A-1', 'pay A-3', 'second A-2']);
  } finally {
    client.close();
    await app.close();
  }
});
