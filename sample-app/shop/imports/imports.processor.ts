import { setTimeout as sleep } from 'node:timers/promises';
import { InjectQueue, Processor, WorkerHost } from '@nestjs/bullmq';
import type { BeforeApplicationShutdown } from '@nestjs/common';
import { type Job, Queue } from 'bullmq';
import { Idempotent } from 'nestjs-idempotency';
import { currentManager } from 'nestjs-idempotency/typeorm';
import { DataSource } from 'typeorm';
import { RECORDS_IN_DATABASE } from '../setup/records/records-in-database.js';
import { textsOf } from './import-rows.js';
import { ImportedRow } from './imported-row.entity.js';
import { IMPORTS } from './imports.controller.js';
import type { ImportDto } from './imports.dto.js';

const ANSWERS_WITHIN_MS = 1_000;

@Processor(IMPORTS)
export class ImportsProcessor extends WorkerHost implements BeforeApplicationShutdown {
  constructor(
    private readonly database: DataSource,
    @InjectQueue(IMPORTS) private readonly queue: Queue,
  ) {
    super();
  }

  /** Runs once for each import, however often the queue delivers its job. */
  @Idempotent({ strategy: 'queue', queue: IMPORTS, transaction: RECORDS_IN_DATABASE })
  async process({ id: importId, data }: Job<ImportDto>): Promise<{ imported: number }> {
    const rows = textsOf(data.rows).map((text) => ({ importId, text }));
    await currentManager(this.database).insert(ImportedRow, rows);
    return { imported: rows.length };
  }

  /** Without this, shutdown would wait forever for a Redis that is gone. */
  async beforeApplicationShutdown(): Promise<void> {
    const answer = this.queue.count().then(
      () => true,
      () => false,
    );
    if (await Promise.race([answer, sleep(ANSWERS_WITHIN_MS, false)])) return;
    await this.worker.close(true);
    await this.queue.disconnect();
  }
}
