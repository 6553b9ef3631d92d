import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Payload } from '@nestjs/microservices';
import { McpController, McpStrategy, StdioTransport, Tool } from '@rekog/mcp-nest';
import { Idempotent, IdempotencyModule, payload } from 'nestjs-idempotency';
import { z } from 'zod';

let runs = 0;

@McpController()
class Shop {
  @Idempotent({ key: payload('orderNo') })
  @Tool({
    name: 'pay',
    description: 'Pays an order once.',
    parameters: z.object({ orderNo: z.string(), amount: z.number() }),
  })
  async pay(@Payload() { amount }: { orderNo: string; amount: number }): Promise<object> {
    runs += 1;
    return Promise.resolve({ paid: amount, run: runs });
  }
}

@Module({ imports: [IdempotencyModule.forRoot()], controllers: [Shop] })
class ShopModule {}

const app = await NestFactory.createMicroservice(ShopModule, {
  strategy: new McpStrategy({
    name: 'shop',
    version: '1.0.0',
    transports: [new StdioTransport()],
    logging: false,
  }),
  // Standard output is the protocol.
  logger: false,
});
await app.listen();
