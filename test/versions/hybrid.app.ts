import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientProxyFactory,
  MessagePattern,
  Payload,
  Transport,
} from '@nestjs/microservices';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { Idempotent, IdempotencyModule, payload } from 'nestjs-idempotency';
import { lastValueFrom } from 'rxjs';
import { io } from 'socket.io-client';
import { freePort } from '../support/servers/private-server.js';

interface Order {
  readonly id: string;
}

let runs = 0;

@Controller()
class Orders {
  @Idempotent({ key: payload('id') })
  @MessagePattern('pay')
  pay(@Payload() { id }: Order): string {
    return `${id} ${(runs += 1)}`;
  }
}

@WebSocketGateway()
class Shop {
  @Idempotent({ key: payload('id') })
  @SubscribeMessage('pay')
  pay(@MessageBody() { id }: Order): string {
    return `${id} ${(runs += 1)}`;
  }
}

@Module({ imports: [IdempotencyModule.forRoot()], controllers: [Orders], providers: [Shop] })
class App {}

/** What is wrong with repeated messages over TCP and with repeated events of web sockets. */
export async function faultsOfHybrid(): Promise<readonly string[]> {
  const app = await NestFactory.create(App, { logger: ['error'], abortOnError: false });
  const options = { host: '127.0.0.1', port: await freePort() };
  app.connectMicroservice({ transport: Transport.TCP, options });
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as { port: number };
  const producer = ClientProxyFactory.create({
    transport: Transport.TCP,
    options,
  }) as unknown as ClientProxy;
  const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
  try {
    const replies: Readonly<Record<string, (order: Order) => Promise<unknown>>> = {
      'm-1': (order) => lastValueFrom(producer.send('pay', order)),
      'e-1': (order) => socket.timeout(30_000).emitWithAck('pay', order),
    };
    const faults: string[] = [];
    for (const [id, send] of Object.entries(replies)) {
      const [first, second] = [await send({ id }), await send({ id })];
      if (first !== second || !String(first).startsWith(id))
        faults.push(`${String(first)}, then ${String(second)}`);
    }
    return faults;
  } finally {
    socket.close();
    producer.close();
    await app.close();
  }
}
