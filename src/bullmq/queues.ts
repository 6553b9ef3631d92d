import { getQueueToken } from '@nestjs/bullmq';
import { Inject, Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { Queue } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseDuration } from '../engine/duration.js';
import { IdempotencyConfigurationError } from '../engine/configuration-error.js';
import { IdempotencyException } from '../operation/idempotency.exception.js';
import { MODULE_OPTIONS_TOKEN } from '../options/module-definition.js';
import { type IdempotencyModuleOptions, MODULE_DEFAULTS } from '../options/idempotency.options.js';

/** The scope of the operations whose keys are the ids of a queue's jobs. */
export function scopeOfJobs(queue: string): string {
  return `queue ${queue}`;
}

/** The queues of the application. A call of a queue is limited like a call of the store. */
@Injectable()
export class Queues {
  private readonly timeoutMs: number;

  constructor(
    private readonly moduleRef: ModuleRef,
    @Inject(MODULE_OPTIONS_TOKEN) { storeTimeout }: IdempotencyModuleOptions,
  ) {
    this.timeoutMs = parseDuration('storeTimeout', storeTimeout ?? MODULE_DEFAULTS.storeTimeout);
  }

  /**
   * @throws {@link IdempotencyConfigurationError} if the application has no queue with that name
   */
  get(name: string): Queue {
    try {
      return this.moduleRef.get<Queue>(getQueueToken(name), { strict: false });
    } catch (cause) {
      const problem = {
        option: 'queue',
        given: name,
        accepted: 'the name of a queue of this application',
        remedy: `Register it: BullModule.registerQueue({ name: '${name}' }).`,
      };
      throw Object.assign(new IdempotencyConfigurationError(problem), { cause });
    }
  }

  /**
   * Calls a queue with a time limit, because its client would wait for Redis forever.
   *
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE` if it does not answer
   */
  async ask<T>(name: string, question: (queue: Queue) => Promise<T>): Promise<T> {
    const giveUp = new AbortController();
    const late = sleep(this.timeoutMs, undefined, { signal: giveUp.signal }).then(() => {
      throw new Error(`The queue did not answer within ${this.timeoutMs} ms.`);
    });
    // Nobody waits for whichever comes second.
    late.catch(() => undefined);
    try {
      return await Promise.race([question(this.get(name)), late]);
    } catch (cause) {
      throw new IdempotencyException('IDEMPOTENCY_STORE_UNAVAILABLE', {
        cause,
        detail: 'The queue could not be reached. Retry later with the same key and content.',
      });
    } finally {
      giveUp.abort();
    }
  }
}
