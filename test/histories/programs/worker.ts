import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStore } from '../../processes/support/open-store.js';
import type { FromWorker, ToWorker, WorkerSettings } from '../paused-processes.js';

/** One of several processes that work on the same few operations, each of two steps. */
const { server, port, leaseMs } = JSON.parse(process.env.WORKER_SETTINGS!) as WorkerSettings;
const WORKERS = 6;
const PRESENT_KEYS = 6;

const say = (message: FromWorker): void => void process.send?.(message);
process.on('unhandledRejection', (error) => {
  say({ type: 'unhandled', error: String(error) });
});

const { store, act } = await openStore(server, port);

@Module({ imports: [IdempotencyModule.forRoot({ store })] })
class WorkerModule {}
const app = await NestFactory.createApplicationContext(WorkerModule, { logger: false });
const service = app.get(IdempotencyService);
let firstKey = 0;
let isOver = false;
process.on('message', (message: ToWorker) => {
  if (message.firstKey !== undefined) firstKey = message.firstKey;
  isOver ||= message.isOver === true;
});

/** Happens, and says which run did it. */
async function once(what: string, key: string, run: string): Promise<string> {
  await act(`${what} ${key} ${run}`);
  return run;
}

async function work(worker: number): Promise<void> {
  for (let runs = 0; !isOver; runs += 1) {
    const key = `key${firstKey + Math.floor(Math.random() * PRESENT_KEYS)}`;
    const run = `${process.pid}.${worker}.${runs}`;
    const options = { scope: 'work', key, lease: leaseMs, wait: 1_500 };
    try {
      const value = await service.run(options, async (operation) => {
        const charged = await operation.step('charge', () => once('charge', key, run));
        await sleep(Math.random() * 700);
        if (Math.random() < 0.15) throw new Error('not this time');
        const shipped = await operation.step('ship', () => once('ship', key, run));
        await sleep(Math.random() * 300);
        return { run, charged, shipped };
      });
      say({ type: 'value', key, value });
    } catch (error) {
      const { code = 'failed' } = error as { code?: string };
      say({ type: 'error', code });
    }
    await sleep(Math.random() * 40);
  }
}

say({ type: 'ready' });
await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
say({ type: 'over' });
