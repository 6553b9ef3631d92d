import { Injectable } from '@nestjs/common';
import type { Job } from 'bullmq';
import { IdempotencyService, type OperationView } from '../idempotency.service.js';
import { Queues, scopeOfJobs } from './queues.js';

export type QueuedOperationStatus = 'queued' | 'running' | 'done' | 'failed';

/** An operation whose work is a job of a queue, as its client sees it. */
export interface QueuedOperation {
  readonly id: string;
  readonly status: QueuedOperationStatus;
  /** What the processor returned, when it is done. */
  readonly result?: unknown;
  /** The message of what the processor failed with, or why it will not be done. */
  readonly error?: string;
}

/** What has become of operations that were put on a queue. */
@Injectable()
export class QueuedOperations {
  constructor(
    private readonly queues: Queues,
    private readonly idempotency: IdempotencyService,
  ) {}

  /**
   * The operation of a job, also when the job itself is gone; `undefined` when there is none, or its
   * record has expired. Who knows the id may see it: check whose it is where that matters.
   *
   * @param id as in the reply to whoever put it on the queue
   * @throws {@link IdempotencyException} `IDEMPOTENCY_STORE_UNAVAILABLE`
   */
  async find(queue: string, id: string): Promise<QueuedOperation | undefined> {
    const ref = { scope: scopeOfJobs(queue), key: id };
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
      return { id, status: 'failed', error: 'Its outcome is not known, and has to be found out.' };
    if ((record?.leaseRemainingMs ?? 0) > 0) return { id, status: 'running' };
    const job = await this.queues.ask(queue, (one) => one.getJob(id) as Promise<Job | undefined>);
    if (job === undefined)
      return record && { id, status: 'failed', error: 'The job was removed before it was done.' };
    const state = await this.queues.ask(queue, () => job.getState());
    if (state === 'completed') return { id, status: 'done', result: job.returnvalue as unknown };
    if (state === 'failed') return { id, status: 'failed', error: job.failedReason };
    return { id, status: state === 'active' ? 'running' : 'queued' };
  }
}

function messageOf(error: unknown): string {
  const { message } = (error ?? {}) as { message?: unknown };
  return typeof message === 'string' ? message : String(error);
}
