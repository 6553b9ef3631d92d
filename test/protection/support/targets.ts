import {
  Controller,
  type NestInterceptor,
  Post,
  type Provider,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { Mutation, Resolver } from '@nestjs/graphql';
import { MessagePattern, Payload, Transport } from '@nestjs/microservices';
import {
  header,
  IdempotencyService,
  Idempotent,
  type IdempotentOptions,
  MemoryStore,
  payload,
} from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { firstValueFrom } from 'rxjs';
import { bootGraphql } from '../../graphql/support/graphql-app.js';
import { connectProducer, startConsumer } from '../../messages/support/consumer.js';
import { boot, PLATFORMS } from '../../support/http.js';
import { freePort } from '../../support/servers/private-server.js';

/** Everything that comes to a handler through interceptors. */
export const TARGETS = [...PLATFORMS, 'graphql', 'messages'] as const;
export type TargetName = (typeof TARGETS)[number];

/** An application with one protected handler, and interceptors around and within the protection. */
export interface TargetOptions {
  /** What the handler does; its value is a string. */
  readonly work: () => unknown;
  readonly outer?: NestInterceptor;
  readonly inner?: NestInterceptor;
  /** More providers of the application. */
  readonly providers?: readonly Provider[];
  readonly store?: IdempotencyStore;
  readonly options?: Pick<
    IdempotentOptions,
    'lease' | 'maxAttempts' | 'onError' | 'transaction' | 'wait'
  >;
}

export interface Target {
  readonly service: IdempotencyService;
  /** Calls the handler: `ok …` with what it has answered, or `failed …` with what a client learns. */
  call(key: string): Promise<string>;
  state(key: string): Promise<string | undefined>;
  close(): Promise<void>;
}

export function bootTarget(name: TargetName, options: TargetOptions): Promise<Target> {
  switch (name) {
    case 'express':
    case 'fastify':
      return bootRoute(name, options);
    case 'graphql':
      return bootField(options);
    case 'messages':
      return bootMessages(options);
  }
}

async function bootRoute(
  platform: 'express' | 'fastify',
  { work, outer, inner, providers = [], store = new MemoryStore(), options }: TargetOptions,
): Promise<Target> {
  @Controller()
  class Payments {
    @UseInterceptors(...listOf(inner))
    @Idempotent({ key: header(), ...options })
    @Post('pay')
    pay(): unknown {
      return work();
    }
  }
  const test = await boot(platform, {
    controllers: [Payments],
    providers: [...providers],
    idempotency: { store },
    configure: (app) => outer && app.useGlobalInterceptors(outer),
  });
  const service = test.app.get(IdempotencyService);
  return {
    service,
    close: () => test.close(),
    state: async (key) => (await service.find({ scope: 'POST /pay', key }))?.state,
    async call(key) {
      const { status, text } = await test.send('/pay', { key });
      return `${status < 300 ? 'ok' : 'failed'} ${text}`;
    },
  };
}

async function bootField({
  work,
  outer,
  inner,
  providers = [],
  store = new MemoryStore(),
  options,
}: TargetOptions): Promise<Target> {
  @Resolver()
  class Payments {
    @UseInterceptors(...listOf(inner))
    @Idempotent(options)
    @Mutation(() => String)
    pay(): unknown {
      return work();
    }
  }
  const test = await bootGraphql({
    providers: [Payments, ...providers],
    idempotency: { store },
    configure: (app) => outer && app.useGlobalInterceptors(outer),
  });
  const service = test.app.get(IdempotencyService);
  return {
    service,
    close: () => test.close(),
    state: async (key) => (await service.find({ scope: 'Mutation.pay', key }))?.state,
    async call(key) {
      const { data, errors } = await test.ask('mutation { pay }', { key });
      return errors === undefined
        ? `ok ${String(data?.['pay'])}`
        : `failed ${JSON.stringify(errors)}`;
    },
  };
}

async function bootMessages({
  work,
  outer,
  inner,
  providers = [],
  store = new MemoryStore(),
  options,
}: TargetOptions): Promise<Target> {
  @Controller()
  class Payments {
    @UseInterceptors(...listOf(inner))
    @Idempotent({ key: payload('id'), ...options })
    @MessagePattern('pay')
    pay(@Payload() _order: unknown): unknown {
      return work();
    }
  }
  const server = { host: '127.0.0.1', port: await freePort() };
  const consumer = await startConsumer(
    { transport: Transport.TCP, options: server },
    {
      controllers: [Payments],
      providers: providers as Type[],
      idempotency: { store },
      configure: (app) => outer && app.useGlobalInterceptors(outer as never),
    },
  );
  const producer = await connectProducer({ transport: Transport.TCP, options: server });
  return {
    service: consumer.idempotency,
    state: async (key) =>
      (await consumer.idempotency.find({ scope: 'pay Payments.pay', key }))?.state,
    async call(key) {
      try {
        return `ok ${String(await firstValueFrom(producer.send('pay', { id: key })))}`;
      } catch (error) {
        return `failed ${JSON.stringify(error)}`;
      }
    },
    async close() {
      await producer.close();
      await consumer.close();
    },
  };
}

/** What stands above `@Idempotent()` is further in. */
function listOf(inner: NestInterceptor | undefined): NestInterceptor[] {
  return inner === undefined ? [] : [inner];
}
