import { Injectable } from '@nestjs/common';
import type { Job } from 'bullmq';
import { IdempotencyService } from '../idempotency.service.js';
import { isCounted, keyOfJob } from '../keys/jobs.js';
import type { OperationView } from '../operators/operator-records.js';
import { Queues, scopeOfJobs } from './queues.js';

export type QueuedOperationStatus = 'queued' | 'running' | 'done' | 'failed';

/** An operation whose work is a job of a queue, as its client sees it. */
export interface QueuedOperation {
  readonly id: string;
  readonly status: QueuedOperationStatus;
  /** What the processor returned, if it is done. */
  readonly result?: unknown;
  /** The message of the processor's error, or why the job will not be done. */
  readonly error?: string;
}

/** Finds the status of queued operations. */
@Injectable()
export class QueuedOperations {
  constructor(
    private readonly queues: Queues,
    private readonly idempotency: IdempotencyService,
  ) {}

  /**
   * The operation of a job, even if the job itself is gone; `undefined` if there is none or its
   * record has expired. Anybody who knows the id can read it. If that matters, check who is asking.
   *
   * @param id the id in the reply of the route
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`
   */
  async find(queue: string, id: string): Promise<QueuedOperation | undefined> {
    // The record of an id that the queue counted is found through its job.
    const job = isCounted(id) ? await this.jobOf(queue, id) : undefined;
    const ref = { scope: scopeOfJobs(queue), key: (job && keyOfJob(job)) ?? id };
    const reply = await this.idempotency.reply(ref);
    switch (reply?.kind) {
      case 'value':
        return { id, status: 'done', result: reply.value };
      case 'error':
        return { id, status: 'failed', error: messageOf(reply.error) };
      case 'not-kept':
      case 'http':
        return { id, status: 'done' };
      case undefined:
        return this.unfinished(queue, id, await this.idempotency.find(ref));
    }
  }

  private async unfinished(
    queue: string,
    id: string,
    record: OperationView | undefined,
  ): Promise<QueuedOperation | undefined> {
    if (record?.state === 'held')
      return { id, status: 'failed', error: 'The outcome is unknown. An operator must settle it.' };
    if ((record?.leaseRemainingMs ?? 0) > 0) return { id, status: 'running' };
    const job = await this.jobOf(queue, id);
    if (job === undefined)
      return record && { id, status: 'failed', error: 'The job was removed before it was done.' };
    const state = await this.queues.ask(queue, () => job.getState());
    if (state === 'completed') return { id, status: 'done', result: job.returnvalue as unknown };
    if (state === 'failed') return { id, status: 'failed', error: job.failedReason };
    return { id, status: state === 'active' ? 'running' : 'queued' };
  }

  private jobOf(queue: string, id: string): Promise<Job | undefined> {
    return this.queues.ask(queue, (one) => one.getJob(id) as Promise<Job | undefined>);
  }
}

function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : String(error);
}
