import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Cron, Interval, ScheduleModule } from '@nestjs/schedule';
import { IdempotencyModule, IdempotencyService, Idempotent, tick } from 'nestjs-idempotency';
import { setTimeout } from 'node:timers/promises';
import { openStore, placeFrom, type ServerName } from '../../processes/support/open-store.js';
import type { Reported } from '../support/instance.js';

/** An instance of an application whose jobs are due every second, with a clock of its own. */
const { SERVER, PLACE, SKEW_MS, WORK_MS } = process.env;
const business = await openStore(SERVER as ServerName, placeFrom(PLACE!));
const realNow = Date.now.bind(Date);
Date.now = () => realNow() + Number(SKEW_MS);

const report = (reported: Reported): void => void process.send?.(reported);

@Injectable()
class Jobs {
  constructor(private readonly idempotency: IdempotencyService) {}

  @Cron('* * * * * *')
  @Idempotent({ key: tick() })
  cronAbove(): Promise<void> {
    return this.run();
  }

  @Idempotent({ key: tick() })
  @Cron('* * * * * *')
  cronBelow(): Promise<void> {
    return this.run();
  }

  @Interval(1_000)
  @Idempotent({ key: tick() })
  interval(): Promise<void> {
    return this.run();
  }

  private async run(): Promise<void> {
    const { scope, key } = this.idempotency.current()!;
    const effect = `${scope} ${key}`;
    await business.act(effect);
    // The other instance comes while it is at work.
    await setTimeout(Number(WORK_MS));
    report({ scope, effect });
  }
}

@Module({
  imports: [IdempotencyModule.forRoot({ store: business.store }), ScheduleModule.forRoot()],
  providers: [Jobs],
})
class InstanceModule {}

process.send?.('ready');
const app = await NestFactory.createApplicationContext(InstanceModule, { logger: ['error'] });
app.get(IdempotencyService).events$.subscribe(({ type, scope }) => {
  if (type === 'rejected' || type === 'replayed') report({ scope });
});
