import { type LoggerService, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { IdempotencyModule, IdempotencyService } from 'nestjs-idempotency';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { filter, map, mergeMap, Subject } from 'rxjs';
import type { Failing, Outcome } from '../support/subscribers.js';

let logged: string[] = [];
const logger: LoggerService = {
  log() {},
  warn() {},
  error: (...lines: unknown[]) => logged.push(lines.join(' ')),
};

@Module({ imports: [IdempotencyModule.forRoot()] })
class AppModule {}

function fail(): never {
  throw new Error('from the subscriber');
}

function failLater(): void {
  // What an async function that is handed in as a listener does.
  return Promise.reject(new Error('from the subscriber')) as unknown as void;
}

type Subscribe = (service: IdempotencyService) => unknown;

const SUBSCRIBERS: Record<Failing, Subscribe> = {
  'a function that throws': (service) => service.events$.subscribe(fail),
  'an observer that throws': (service) => service.events$.subscribe({ next: fail, complete: fail }),
  'an async function': (service) => service.events$.subscribe(failLater),
  'a function behind operators': (service) =>
    service.events$
      .pipe(
        map(({ type }) => type),
        filter(() => true),
      )
      .subscribe(fail),
  'an operator that throws': (service) => service.events$.pipe(map(fail)).subscribe(),
  'an async operator': (service) => service.events$.pipe(mergeMap(async () => fail())).subscribe(),
  'an error handler that throws': (service) =>
    service.events$.pipe(map(fail)).subscribe({ next() {}, error: fail }),
  'a subject that throws': (service) => {
    const subject = new Subject();
    subject.next = fail;
    service.events$.subscribe(subject);
  },
  'a listener to the calls of the store': (service) => service.storeCalls$.subscribe(fail),
  'a channel': () => subscribe('nestjs-idempotency:claimed', fail),
  'an async listener of a channel': () => subscribe('nestjs-idempotency:claimed', failLater),
  'the channel of the calls of the store': () => subscribe('nestjs-idempotency:store-call', fail),
};

/** One application, one subscriber that fails, and one that does not. */
async function tell(failing: Failing): Promise<Outcome> {
  logged = [];
  const app = await NestFactory.createApplicationContext(AppModule, { logger });
  const service = app.get(IdempotencyService);
  SUBSCRIBERS[failing](service);
  const heard: string[] = [];
  const hear = (event: unknown): void => void heard.push((event as { type: string }).type);
  service.events$.subscribe(hear);
  subscribe('nestjs-idempotency:stored', hear);
  const answers: unknown[] = [];
  for (const key of ['a', 'b', 'a']) {
    const call = { scope: 'payments', key, lease: '10s' } as const;
    answers.push(await service.run(call, () => Promise.resolve(`paid ${key}`)));
  }
  await app.close();
  unsubscribe('nestjs-idempotency:stored', hear);
  unsubscribe('nestjs-idempotency:claimed', fail);
  unsubscribe('nestjs-idempotency:claimed', failLater);
  unsubscribe('nestjs-idempotency:store-call', fail);
  // Rejections and errors from timers have had their turn.
  await new Promise((resolve) => setTimeout(resolve, 20));
  return { answers, heard, logged };
}

const outcomes: Partial<Record<Failing, Outcome>> = {};
for (const failing of Object.keys(SUBSCRIBERS) as Failing[]) {
  process.stderr.write(`${failing}\n`);
  outcomes[failing] = await tell(failing);
}
process.send?.(outcomes);
process.disconnect();
