import { Module, type Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientProxyFactory,
  type ClientProvider,
  type MicroserviceOptions,
} from '@nestjs/microservices';
import {
  IdempotencyModule,
  type IdempotencyModuleOptions,
  IdempotencyService,
  MemoryStore,
} from 'nestjs-idempotency';

/** How a Nest application comes to its messages. */
export const WAYS = ['standalone', 'hybrid', 'hybrid with inheritAppConfig'] as const;

export type Way = (typeof WAYS)[number];

export interface ConsumerOptions {
  readonly controllers: Type[];
  readonly providers?: Type[];
  readonly idempotency?: IdempotencyModuleOptions;
  readonly way?: Way;
  /** Before it listens. */
  readonly configure?: (app: { useGlobalInterceptors(...interceptors: never[]): unknown }) => void;
}

export interface Consumer {
  readonly idempotency: IdempotencyService;
  close(): Promise<void>;
}

/** An application that listens to a transport; the caller closes it. */
export async function startConsumer(
  transport: MicroserviceOptions,
  { controllers, providers = [], idempotency, way = 'standalone', configure }: ConsumerOptions,
): Promise<Consumer> {
  const options = { store: new MemoryStore(), ...idempotency };
  @Module({ imports: [IdempotencyModule.forRoot(options)], controllers, providers })
  class App {}
  const settings = { logger: false, abortOnError: false } as const;

  if (way === 'standalone') {
    const app = await NestFactory.createMicroservice(App, { ...transport, ...settings });
    configure?.(app);
    await app.listen();
    return { idempotency: app.get(IdempotencyService), close: () => app.close() };
  }
  const app = await NestFactory.create(App, settings);
  configure?.(app);
  app.connectMicroservice(transport, { inheritAppConfig: way !== 'hybrid' });
  await app.startAllMicroservices();
  await app.listen(0, '127.0.0.1');
  return { idempotency: app.get(IdempotencyService), close: () => app.close() };
}

/** What sends messages to a consumer; the caller closes it. */
export async function connectProducer(transport: ClientProvider): Promise<ClientProxy> {
  const producer = ClientProxyFactory.create(transport) as unknown as ClientProxy;
  await producer.connect();
  return producer;
}
