import { RabbitSubscribe } from '@golevelup/nestjs-rabbitmq';
import { Controller, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { EventPattern } from '@nestjs/microservices';
import { Idempotent, IdempotencyModule, messageId } from 'nestjs-idempotency';
import { on } from './support/golevelup-app.js';

it('handlers of @golevelup/nestjs-rabbitmq are refused at boot where they cannot be protected', async () => {
  const refused = async (type: unknown): Promise<string> => {
    const controllers = [type] as never[];
    try {
      @Module({ imports: [IdempotencyModule.forRoot()], controllers })
      class App {}
      await (await NestFactory.create(App, { logger: false, abortOnError: false })).init();
    } catch (error) {
      return (error as Error).message;
    }
    return 'boots';
  };
  @Controller()
  class Batches {
    @Idempotent({ key: messageId() })
    @RabbitSubscribe({ ...on('placed'), batchOptions: { size: 10 } })
    all(): void {}
  }
  @Controller()
  class Acknowledging {
    @Idempotent({ key: messageId(), acknowledge: true })
    @RabbitSubscribe(on('placed'))
    one(): void {}
  }
  @Controller()
  class OfTwo {
    @Idempotent({ key: messageId() })
    @RabbitSubscribe(on('placed'))
    @EventPattern<string>('placed')
    one(): void {}
  }
  expect(await refused(Batches)).toContain('a handler of batches');
  expect(await refused(Acknowledging)).toContain('acknowledges messages itself');
  expect(await refused(OfTwo)).toContain('which both Nest and');
});
