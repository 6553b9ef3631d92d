import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore, failBefore } from '../../../src/testing/index.js';

const { WHAT, SHUTDOWN_TIMEOUT } = process.env;
const store = new FaultInjectingStore(new MemoryStore());
const shutdownTimeout = Number(SHUTDOWN_TIMEOUT);

@Module({ imports: [IdempotencyModule.forRoot({ store, shutdownTimeout })] })
class AppModule {}

const app = await NestFactory.createApplicationContext(AppModule, { logger: false });
const service = app.get(IdempotencyService);
const types: string[] = [];
service.events$.subscribe(({ type }) => types.push(type));

/** Nothing of it keeps the process: as with a connection that is unreferenced, or was lost. */
const work = (): Promise<string> =>
  new Promise((resolve) => void setTimeout(() => resolve('paid'), 700).unref());

if (WHAT === 'runs') {
  void service.run({ scope: 'payments', key: 'a' }, work);
} else {
  store.next('complete', failBefore(), failBefore(), failBefore());
  await service.run({ scope: 'payments', key: 'a' }, () => Promise.resolve('paid'));
}
process.channel?.unref();
await app.close();
process.send?.({ types });
process.disconnect();
