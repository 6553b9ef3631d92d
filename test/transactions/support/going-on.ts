import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { DelayedError } from 'bullmq';
import {
  arg,
  Idempotent,
  type IdempotentDeclaration,
  IdempotencyModule,
  IdempotencyService,
} from 'nestjs-idempotency';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import type { EntityManager } from 'typeorm';
import { PATIENT } from '../../support/http.js';
import type { SqlDatabaseKind } from '../../support/sql-databases.js';

interface Ended {
  readonly written: string[];
  readonly steps: string[];
  readonly replies: unknown[];
  /** The attempts that the handler was told. */
  readonly attempts: number[];
}

/** A job of two steps: after the first one it says "not now", and is called again with other data. */
async function twoSteps(kind: SqlDatabaseKind, ...layers: IdempotentDeclaration[]): Promise<Ended> {
  const database = await kind.start();
  const dataSource = await database.connect();
  await dataSource.runMigrations();
  await dataSource.query('CREATE TABLE effects (name varchar(20))');
  const steps: string[] = [];
  const attempts: number[] = [];

  @Injectable()
  class Jobs {
    constructor(private readonly idempotency: IdempotencyService) {}

    async process(job: { readonly data: { readonly step: number } }): Promise<string> {
      const operation = this.idempotency.current()!;
      attempts.push(operation.attempt);
      await operation.step('prepare', () => void steps.push('prepared'));
      const { step } = job.data;
      const manager = operation.manager as EntityManager;
      await manager.query(`INSERT INTO effects VALUES ('step ${step}')`);
      if (step === 1) throw new DelayedError();
      return 'finished';
    }
  }
  const descriptor = Object.getOwnPropertyDescriptor(Jobs.prototype, 'process')!;
  for (const layer of layers.toReversed())
    (Idempotent(layer) as MethodDecorator)(Jobs.prototype, 'process', descriptor);
  Object.defineProperty(Jobs.prototype, 'process', descriptor);

  const store = new TypeOrmStore({ dataSource, purge: false });
  @Module({ imports: [IdempotencyModule.forRoot({ ...PATIENT, store })], providers: [Jobs] })
  class JobsModule {}
  const app = await NestFactory.createApplicationContext(JobsModule, {
    logger: false,
    abortOnError: false,
  });
  const jobs = app.get(Jobs);
  /** As a worker delivers it. */
  const deliver = (step: number): Promise<unknown> => {
    const moveToFailed = (): void => undefined;
    const job = { id: '7', name: 'job', timestamp: 5, opts: {}, attemptsMade: 0, moveToFailed };
    return jobs.process({ ...job, data: { step } } as never);
  };
  try {
    const replies: unknown[] = [];
    for (const step of [1, 2, 2])
      replies.push(await deliver(step).catch((error: unknown) => (error as Error).name));
    const rows: { name: string }[] = await dataSource.query('SELECT name FROM effects');
    return { written: rows.map(({ name }) => name).sort(), steps, replies, attempts };
  } finally {
    await app.close();
    await database.stop();
  }
}

const KEY = { key: arg(0, 'id') };

export function describeGoingOn(kind: SqlDatabaseKind): void {
  describe(`a job that goes on later, in a transaction on ${kind.name}`, () => {
    it.each<[string, IdempotentDeclaration[]]>([
      ['one layer', [{ ...KEY, transaction: true }]],
      ['one attempt', [{ ...KEY, transaction: true, maxAttempts: 1 }]],
      [
        'a lock around it',
        [
          { ...KEY, strategy: 'lock' },
          { ...KEY, transaction: true },
        ],
      ],
    ])(
      'keeps what it has written so far, and its steps, and counts no attempt: %s',
      async (_, layers) => {
        expect(await twoSteps(kind, ...layers)).toEqual({
          written: ['step 1', 'step 2'],
          steps: ['prepared'],
          replies: ['DelayedError', 'finished', 'finished'],
          attempts: [1, 1],
        });
      },
    );
  });
}
