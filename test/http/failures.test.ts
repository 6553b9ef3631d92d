import {
  type ArgumentMetadata,
  BadRequestException,
  Body,
  type CallHandler,
  Catch,
  Controller,
  type ExceptionFilter,
  type ExecutionContext,
  HttpException,
  Injectable,
  type NestInterceptor,
  ParseIntPipe,
  type PipeTransform,
  Post,
  Query,
  RequestTimeoutException,
  Res,
  StreamableFile,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
} from '@nestjs/common';
import { Exclude } from 'class-transformer';
import { IsInt } from 'class-validator';
import type { Response } from 'express';
import type { FastifyReply } from 'fastify';
import {
  type ErrorDecision,
  IdempotencyException,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
  recoveredReply,
} from 'nestjs-idempotency';
import { FaultInjectingStore, Gate, ManualClock } from 'nestjs-idempotency/testing';
import { Readable } from 'node:stream';
import { types } from 'node:util';
import {
  catchError,
  delayWhen,
  from,
  map,
  type Observable,
  of,
  throwError,
  timeout,
  TimeoutError,
} from 'rxjs';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  type Platform,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';

let runs = 0;
let gate = new Gate();
/** Kept by the handler of `/steps`. */
let charges = 0;
let attempts: number[] = [];
let decision: (byDefault: ErrorDecision) => ErrorDecision | Promise<ErrorDecision>;
let decided: [error: unknown, status: number, byDefault: ErrorDecision][] = [];
class Hashed {
  id = 7;

  @Exclude()
  hash = 'of a password';
}

function cyclic(): object {
  const order: { self?: object } = {};
  order.self = order;
  return order;
}

let onAbandoned: () => ReturnType<typeof recoveredReply> | 'rerun' | 'hold';

class Amount {
  @IsInt()
  amount!: number;
}

@Injectable()
class FailingPipe implements PipeTransform {
  transform(value: unknown, metadata: ArgumentMetadata): unknown {
    if (metadata.type === 'body' && (value as { pipe?: string }).pipe === 'fails')
      throw new BadRequestException('the pipe says no');
    return value;
  }
}

@Injectable()
class SlowPipe implements PipeTransform {
  async transform(value: unknown): Promise<unknown> {
    await gate.pass();
    return value;
  }
}

@Injectable()
class FailingInside implements NestInterceptor {
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { body } = context.switchToHttp().getRequest<{ body: { inside?: string } }>();
    if (body.inside === 'before') throw new BadRequestException('inside, before the handler');
    if (body.inside === 'after')
      return next.handle().pipe(
        map(() => {
          throw new Error('inside, after the handler');
        }),
      );
    return next.handle();
  }
}

const refuseByBody = {
  canActivate(context: ExecutionContext): boolean {
    const { body } = context.switchToHttp().getRequest<{ body: { guard?: string } }>();
    return body.guard !== 'no';
  },
};

@Injectable()
class TimeOut implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(
      timeout(20),
      catchError((error: unknown) =>
        throwError(() => (error instanceof TimeoutError ? new RequestTimeoutException() : error)),
      ),
    );
  }
}

/** Holds the call up behind the claim, before the handler. */
@Injectable()
class Slow implements NestInterceptor {
  async intercept(_context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
    await gate.pass();
    return next.handle();
  }
}

/** Holds the result up on its way out. */
@Injectable()
class SlowAfter implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(delayWhen(() => from(gate.pass())));
  }
}

class DomainError extends Error {}

@Catch(DomainError)
class DomainFilter implements ExceptionFilter {
  catch(error: DomainError, host: Parameters<ExceptionFilter['catch']>[1]): void {
    const response = host.switchToHttp().getResponse<Response & FastifyReply>();
    response.status(422).send({ domain: error.message });
  }
}

@Controller()
class Failing {
  @Idempotent()
  @Post('status')
  status(@Query('status', ParseIntPipe) status: number): unknown {
    runs += 1;
    if (runs > 1) return { run: runs };
    throw new HttpException({ status }, status);
  }

  @Idempotent()
  @Post('answers')
  answers(@Query('status') status: string, @Res() response: Response & FastifyReply): void {
    runs += 1;
    response.status(runs > 1 ? 200 : Number(status)).send({ run: runs });
  }

  @Idempotent()
  @Post('error')
  error(): unknown {
    runs += 1;
    if (runs > 1) return { run: runs };
    throw new Error('the secret of the first caller');
  }

  @Idempotent()
  @Post('rejected')
  async rejected(): Promise<unknown> {
    runs += 1;
    await Promise.resolve();
    if (runs > 1) return { run: runs };
    throw new TypeError('later');
  }

  @Idempotent()
  @Post('observable')
  observable(): Observable<unknown> {
    runs += 1;
    return runs > 1 ? of({ run: runs }) : throwError(() => new Error('observed'));
  }

  @Idempotent()
  @Post('domain')
  domain(): unknown {
    runs += 1;
    throw new DomainError('mapped by a filter');
  }

  @Idempotent()
  @UseGuards(refuseByBody)
  @UseInterceptors(FailingInside)
  @UsePipes(FailingPipe)
  @Post('before')
  before(@Body(new ValidationPipe({ whitelist: true })) _body: Amount): unknown {
    return { run: ++runs };
  }

  @UseInterceptors(FailingInside)
  @Idempotent()
  @Post('inside')
  inside(): unknown {
    return { run: ++runs };
  }

  @Idempotent({
    onError: (...failure) => (decided.push(failure), decision(failure[2])),
  })
  @Post('decided')
  decided(@Query('status') status?: string): unknown {
    runs += 1;
    if (status !== undefined) throw new HttpException('as asked', Number(status));
    throw new Error('money may have moved');
  }

  @Idempotent({ onError: 'store' })
  @Post('answers-decided')
  answersDecided(@Res() response: Response & FastifyReply): void {
    runs += 1;
    response.status(503).send({ run: runs });
  }

  @Idempotent()
  @Post('circular')
  circular(): unknown {
    runs += 1;
    if (runs > 1) return { run: runs };
    const value: Record<string, unknown> = {};
    value.self = value;
    return value;
  }

  @Idempotent()
  @Post('bigint')
  bigint(): unknown {
    runs += 1;
    return runs > 1 ? { run: runs } : { amount: 1n };
  }

  @Idempotent()
  @Post('broken-file')
  brokenFile(@Query('parts', ParseIntPipe) parts: number): StreamableFile {
    runs += 1;
    return new StreamableFile(runs > 1 ? Readable.from([Buffer.from('whole')]) : breaking(parts));
  }

  @Idempotent()
  @Post('writes-then-throws')
  writesThenThrows(@Res() response: Response & FastifyReply): void {
    runs += 1;
    if (runs > 1) return void response.send({ run: runs });
    const raw = response.raw ?? response;
    response.hijack?.();
    raw.write('half');
    throw new Error('after the first half');
  }

  @Idempotent()
  @UseInterceptors(TimeOut)
  @Post('timed-out')
  async timedOut(@Query('fails') fails?: string): Promise<unknown> {
    runs += 1;
    await gate.pass();
    if (fails !== undefined && runs === 1) throw new Error('too late to matter');
    return { run: runs };
  }

  @UseInterceptors(TimeOut)
  @Idempotent()
  @Post('timed-out-inside')
  timedOutInside(@Query('fails') fails?: string): Promise<unknown> {
    return this.timedOut(fails);
  }

  @Idempotent()
  @UseInterceptors(TimeOut)
  @Post('timed-out-promise-of-observable')
  async timedOutPromise(@Query('fails') fails?: string): Promise<Observable<unknown>> {
    return of(await this.timedOut(fails));
  }

  @Idempotent()
  @UseInterceptors(TimeOut)
  @Post('called-off')
  calledOff(): Observable<unknown> {
    runs += 1;
    return runs > 1 ? of({ run: runs }) : from(gate.pass());
  }

  @Idempotent({ onError: () => 'hold' })
  @UseInterceptors(TimeOut)
  @Post('timed-out-held')
  timedOutHeld(): Promise<unknown> {
    return this.timedOut('yes');
  }

  @UseInterceptors(Slow)
  @Idempotent()
  @UseInterceptors(TimeOut)
  @Post('late')
  late(): unknown {
    return { run: ++runs };
  }

  @Idempotent()
  @UseInterceptors(TimeOut)
  @Post('late-pipe')
  latePipe(@Body(SlowPipe) _body: unknown): unknown {
    return { run: ++runs };
  }

  @UseInterceptors(SlowAfter)
  @Idempotent()
  @UseInterceptors(TimeOut)
  @Post('late-result')
  lateResult(): unknown {
    return { run: ++runs };
  }

  @Idempotent()
  @Post('steps')
  async steps(@Operation() operation: IdempotentOperation): Promise<unknown> {
    attempts.push(operation.attempt);
    const charge = await operation.step('charge', async () => ({
      number: ++charges,
      at: new Date(0),
      ids: new Map([[1n, new Set(['a'])]]),
    }));
    if (attempts.length < 3) throw new Error('after the charge');
    const again = await operation.step('charge', () => ({ number: -1 }));
    return {
      attempt: operation.attempt,
      number: charge.number,
      again: again.number,
      isDate: types.isDate(charge.at),
      isMap: charge.ids.get(1n)?.has('a'),
      derived: operation.deriveKey('provider'),
    };
  }

  @Idempotent({ ttl: '1h' })
  @Post('ttl')
  ttl(@Operation() operation: IdempotentOperation): unknown {
    operation.setTtl('10s');
    return { run: ++runs };
  }

  @Idempotent()
  @Post('held')
  async held(@Operation() operation: IdempotentOperation): Promise<unknown> {
    runs += 1;
    if (operation.attempt > 1) return { attempt: operation.attempt };
    await operation.hold('the provider did not answer');
    throw new Error('unclear');
  }

  @Idempotent({ maxAttempts: 2 })
  @Post('limited')
  limited(): never {
    runs += 1;
    throw new Error('once more');
  }

  @Idempotent({ maxAttempts: { times: 2, afterwards: 'store' } })
  @Post('limited/stored')
  limitedStored(): never {
    return this.limited();
  }

  @Idempotent({ maxAttempts: 1 })
  @Post('limited/busy')
  limitedBusy(): number {
    runs += 1;
    if (runs < 3) throw new IdempotencyException('IDEMPOTENCY_KEY_IN_USE');
    return runs;
  }

  @Idempotent({ lease: '1s', onAbandoned: () => onAbandoned() })
  @Post('recovered')
  async recovered(@Operation() operation: IdempotentOperation): Promise<unknown> {
    runs += 1;
    if (operation.attempt === 1) await gate.pass();
    return { attempt: operation.attempt };
  }
}

/** A stream that fails after so many parts. */
function breaking(parts: number): Readable {
  return Readable.from(
    (async function* () {
      for (let part = 0; part < parts; part++) {
        yield Buffer.from(`part ${part} `);
        await new Promise((resolve) => setImmediate(resolve));
      }
      throw new Error('the source broke');
    })(),
  );
}

/** `undefined` when the connection broke before the reply was there. */
const orBroken = (reply: Promise<Reply>): Promise<Reply | undefined> =>
  reply.catch(() => undefined);

describe.each(PLATFORMS)('failures on %s', (platform: Platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let storeClock: ManualClock;

  beforeAll(async () => {
    storeClock = new ManualClock();
    store = new FaultInjectingStore(new MemoryStore({ clock: storeClock }));
    test = await boot(platform, {
      controllers: [Failing],
      idempotency: { store },
      configure: (app) => app.useGlobalFilters(new DomainFilter()),
    });
  });
  afterAll(() => test.close());
  beforeEach(() => {
    runs = 0;
    charges = 0;
    attempts = [];
    decided = [];
    gate = new Gate();
    store.heal();
    store.calls.length = 0;
    test.complaints.length = 0;
  });

  const send = (
    path: string,
    key = `${path} ${expect.getState().currentTestName?.length}`,
    body: unknown = {},
  ) => test.send(path, { key: key.replaceAll(/[^\w]/g, '-'), body });

  describe('of which there may be two', () => {
    it('end with a held operation, and the second caller gets the error', async () => {
      for (let attempt = 1; attempt <= 2; attempt++)
        expect((await send('/limited')).status).toBe(500);
      expectProblem(await send('/limited'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      expect(runs).toBe(2);
    });

    it('end with the failure as the reply', async () => {
      await send('/limited/stored');
      const last = await send('/limited/stored');
      expect(last.status).toBe(500);
      expectReplay(last, await send('/limited/stored'));
      expect(runs).toBe(2);
    });
  });

  it('that a protected method could not begin are none', async () => {
    for (const status of [409, 409, 201, 201])
      expect((await send('/limited/busy')).status).toBe(status);
    expect(runs).toBe(3);
  });

  describe('by default', () => {
    it.each([
      400, 401, 402, 403, 404, 405, 406, 410, 411, 412, 413, 415, 418, 422, 424, 426, 428, 431, 451,
    ])('keep a thrown %i', async (status) => {
      const path = `/status?status=${status}`;
      const first = await send(path);
      expect(first.status).toBe(status);
      expectReplay(first, await send(path));
      expect(runs).toBe(1);
    });

    it.each([408, 409, 423, 425, 429, 500, 501, 502, 503, 504, 507])(
      'release after a thrown %i, so that a retry runs',
      async (status) => {
        const path = `/status?status=${status}`;
        expect((await send(path)).status).toBe(status);
        const retry = await send(path);
        expect(retry.json()).toEqual({ run: 2 });
        expectReplay(retry, await send(path));
      },
    );

    it.each([
      ['a 404 that the handler sends', '/answers?status=404', 404],
      ['a 422 that the handler sends', '/answers?status=422', 422],
    ])('keep %s', async (_name, path, status) => {
      const first = await send(path);
      expect(first.status).toBe(status);
      expectReplay(first, await send(path));
      expect(runs).toBe(1);
    });

    it.each([
      ['429', '/answers?status=429', 429],
      ['500', '/answers?status=500', 500],
      ['503', '/answers?status=503', 503],
    ])('release after a %s that the handler sends', async (_name, path, status) => {
      expect((await send(path)).status).toBe(status);
      expect((await send(path)).json()).toEqual({ run: 2 });
    });

    it.each(['/error', '/rejected', '/observable'])(
      'release after the error of %s',
      async (path) => {
        expect((await send(path)).status).toBe(500);
        const retry = await send(path);
        expect(retry.json()).toEqual({ run: 2 });
        expectReplay(retry, await send(path));
      },
    );

    it('release an error that a filter turns into a 4xx: it is no HttpException', async () => {
      expect((await send('/domain')).status).toBe(422);
      expect((await send('/domain')).status).toBe(422);
      expect(runs).toBe(2);
    });

    it('let a retry with other content run after a release', async () => {
      expect((await send('/error', 'other-content', { amount: 1 })).status).toBe(500);
      expect((await send('/error', 'other-content', { amount: 2 })).json()).toEqual({ run: 2 });
      expectProblem(
        await send('/error', 'other-content', { amount: 1 }),
        422,
        'IDEMPOTENCY_KEY_REUSED',
      );
    });
  });

  describe('before the first line of the handler', () => {
    it.each([
      ['validation', { amount: 'many' }, 400],
      ['a pipe', { amount: 1, pipe: 'fails' }, 400],
      ['an interceptor inside', { amount: 1, inside: 'before' }, 400],
      ['a guard', { amount: 1, guard: 'no' }, 403],
    ])('leave the key to the corrected request: %s', async (name, wrong, status) => {
      const key = `corrected-${name}`;
      expect((await send('/before', key, wrong)).status).toBe(status);
      expect((await send('/before', key, wrong)).status).toBe(status);
      expect(runs).toBe(0);
      const corrected = await send('/before', key, { amount: 1 });
      expect(corrected.json()).toEqual({ run: 1 });
      expectReplay(corrected, await send('/before', key, { amount: 1 }));
    });
  });

  it('after the handler, in an interceptor inside, leave no reply to be kept', async () => {
    expect((await send('/inside', 'inside', { inside: 'after' })).status).toBe(500);
    const retry = await send('/inside', 'inside', { inside: 'after' });
    expectProblem(retry, 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(runs).toBe(1);
  });

  describe('with onError', () => {
    it('are stored where that is decided', async () => {
      decision = () => 'store';
      const first = await send('/decided', 'store');
      expect(first.status).toBe(500);
      expectReplay(first, await send('/decided', 'store'));
      expect(runs).toBe(1);
      expect(decided).toEqual([
        [expect.objectContaining({ message: 'money may have moved' }), 500, 'release'],
      ]);
    });

    it('are held where that is decided, and settled by an operator', async () => {
      decision = async () => Promise.resolve('hold');
      expect((await send('/decided', 'hold')).status).toBe(500);
      expectProblem(await send('/decided', 'hold'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      expect(runs).toBe(1);
      const service = test.app.get(IdempotencyService);
      const ref = { scope: 'POST /decided', key: 'hold' };
      expect(await service.find(ref)).toMatchObject({
        state: 'held',
        reason: 'failed with status 500',
      });
      expect(await service.settle(ref, recoveredReply({ paid: true }, { status: 201 }))).toBe(true);
      const settled = await send('/decided', 'hold');
      expect(settled).toMatchObject({ status: 201, text: '{"paid":true}' });
      expect(settled.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(await service.settle(ref, 'release')).toBe(false);
      expect(runs).toBe(1);
    });

    it('are released where that is decided, also a 404', async () => {
      decision = () => 'release';
      for (const _call of ['first', 'retry'])
        expect((await send('/decided?status=404', 'release')).status).toBe(404);
      expect(runs).toBe(2);
      expect(decided.map(([, status]) => status)).toEqual([404, 404]);
    });

    it.each<[status: number, byDefault: ErrorDecision, runs: number]>([
      [404, 'store', 1],
      [409, 'release', 2],
      [503, 'release', 2],
    ])('are told what becomes of a %i without it: %s', async (status, byDefault, times) => {
      decision = (without) => without;
      for (const _call of ['first', 'retry'])
        expect((await send(`/decided?status=${status}`, `default-${status}`)).status).toBe(status);
      expect(runs).toBe(times);
      expect(decided.map(([, , without]) => without)).toEqual(Array(times).fill(byDefault));
    });

    it.each<[string, typeof decision]>([
      [
        'throws',
        () => {
          throw new Error('undecided');
        },
      ],
      ['rejects', () => Promise.reject(new Error('undecided'))],
    ])('are held when it %s', async (name, failing) => {
      decision = failing;
      expect((await send('/decided', `undecided-${name}`)).status).toBe(500);
      expectProblem(
        await send('/decided', `undecided-${name}`),
        409,
        'IDEMPOTENCY_OUTCOME_UNKNOWN',
      );
      expect(runs).toBe(1);
    });

    it('are held when it answers with something else', async () => {
      decision = () => 'ignore' as ErrorDecision;
      expect((await send('/decided', 'unknown')).status).toBe(500);
      expectProblem(await send('/decided', 'unknown'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    });

    it('are stored also when the handler sent the status itself', async () => {
      const first = await send('/answers-decided');
      expect(first.status).toBe(503);
      expectReplay(first, await send('/answers-decided'));
    });
  });

  it.each(['/circular', '/bigint'])(
    'to serialize a value are no reason to make it again: %s',
    async (path) => {
      expect((await send(path)).status).toBe(500);
      for (const _call of ['first', 'second'])
        expectProblem(await send(path), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
    },
  );

  describe('of a stream', () => {
    it.each([0, 1, 3])('are no recorded success after %i parts', async (parts) => {
      const path = `/broken-file?parts=${parts}`;
      const broken = await orBroken(send(path));
      // Whole is what must never be claimed.
      expect(broken === undefined || broken.status >= 400).toBe(true);
      for (const _call of ['first', 'second'])
        expectProblem(await send(path), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
    });

    it('after a first write leave no recorded success', async () => {
      const broken = await orBroken(send('/writes-then-throws'));
      expect(broken === undefined || broken.status >= 400 || broken.text === 'half').toBe(true);
      const retry = await send('/writes-then-throws');
      expect(retry.json()).toEqual({ run: 2 });
    });
  });

  it("never show the first caller's error to the second", async () => {
    const first = send('/timed-out?fails=yes', 'private', {});
    await gate.reached();
    const second = await send('/timed-out?fails=yes', 'private', {});
    expectProblem(second, 409, 'IDEMPOTENCY_KEY_IN_USE');
    gate.open();
    await first;
    expect(second.text).not.toContain('too late');
  });

  describe('by a time-out', () => {
    describe.each(['/timed-out', '/timed-out-inside', '/timed-out-promise-of-observable'])(
      'at %s',
      (path) => {
        it('do not run the handler twice, and say so when it has ended', async () => {
          const first = await send(path);
          expect(first.status).toBe(408);
          expectProblem(await send(path), 409, 'IDEMPOTENCY_KEY_IN_USE');
          gate.open();
          await eventually(async () => (await send(path)).text.includes('REPLY_NOT_KEPT'));
          expectProblem(await send(path), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
          expect(runs).toBe(1);
        });

        it('free the key when the handler fails in the end', async () => {
          const failing = `${path}?fails=yes`;
          expect((await send(failing)).status).toBe(408);
          expectProblem(await send(failing), 409, 'IDEMPOTENCY_KEY_IN_USE');
          gate.open();
          await eventually(async () => (await send(failing)).status === 201);
          expect(runs).toBe(2);
        });
      },
    );

    it('do not end an observable of the handler: the work behind it goes on', async () => {
      expect((await send('/called-off')).status).toBe(408);
      expectProblem(await send('/called-off'), 409, 'IDEMPOTENCY_KEY_IN_USE');
      gate.open();
      await eventually(async () => (await send('/called-off')).text.includes('REPLY_NOT_KEPT'));
      expect(runs).toBe(1);
    });

    it('ask onError about a handler that fails after them', async () => {
      expect((await send('/timed-out-held')).status).toBe(408);
      gate.open();
      await eventually(async () =>
        (await send('/timed-out-held')).text.includes('OUTCOME_UNKNOWN'),
      );
      expect(runs).toBe(1);
    });

    it.each(['/late', '/late-pipe'])(
      'keep a handler from starting once the reply has left: %s',
      async (path) => {
        expect((await send(path)).status).toBe(408);
        expect(runs).toBe(0);
        gate.open();
        await new Promise((resolve) => setImmediate(resolve));
        expect(runs).toBe(0);
        const retry = await send(path);
        expect(retry.json()).toEqual({ run: 1 });
        expectReplay(retry, await send(path));
      },
    );

    it('do not free the key of a handler that has ended already', async () => {
      expect((await send('/late-result')).status).toBe(408);
      expectProblem(await send('/late-result'), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      gate.open();
      expect(runs).toBe(1);
    });
  });

  describe('of an operation with steps', () => {
    it('run every step once, whatever the number of attempts', async () => {
      expect((await send('/steps', 'steps')).status).toBe(500);
      expect((await send('/steps', 'steps')).status).toBe(500);
      const third = await send('/steps', 'steps');
      expect(third.json()).toEqual({
        attempt: 3,
        number: 1,
        again: 1,
        isDate: true,
        isMap: true,
        derived: expect.stringMatching(/^[0-9a-f]{64}$/),
      });
      expectReplay(third, await send('/steps', 'steps'));
      expect({ attempts, charges }).toEqual({ attempts: [1, 2, 3], charges: 1 });
    });
  });

  it('of a held operation wait for an operator, who may let it run again', async () => {
    expect((await send('/held', 'held')).status).toBe(500);
    expectProblem(await send('/held', 'held'), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    const service = test.app.get(IdempotencyService);
    const ref = { scope: 'POST /held', key: 'held' };
    expect(await service.forget(ref)).toBe(true);
    expect((await send('/held', 'held')).status).toBe(500);
    expect(await service.settle(ref, 'release')).toBe(true);
    expect((await send('/held', 'held')).json()).toEqual({ attempt: 2 });
    expect(runs).toBe(3);
  });

  it('of memory are decided by op.setTtl()', async () => {
    const first = await send('/ttl', 'ttl');
    await storeClock.advance(9_999);
    expectReplay(first, await send('/ttl', 'ttl'));
    await storeClock.advance(1);
    expect((await send('/ttl', 'ttl')).json()).toEqual({ run: 2 });
  });

  it('are logged, where Nest logs them, and nothing else is', async () => {
    await send('/error', 'logged');
    await send('/status?status=404', 'logged');
    await send('/status?status=404', 'logged');
    const lines = test.complaints.join('\n');
    expect(lines).not.toMatch(/already sent|headers after/i);
  });
});

describe.each(PLATFORMS)('abandoned operations on %s', (platform) => {
  let test: TestApp;
  let store: FaultInjectingStore;
  let clock: ManualClock;

  beforeEach(async () => {
    runs = 0;
    gate = new Gate();
    clock = new ManualClock();
    store = new FaultInjectingStore(new MemoryStore({ clock }));
    test = await boot(platform, { controllers: [Failing], idempotency: { store } });
  });
  afterEach(() => test.close());

  const send = () => test.send('/recovered', { key: 'abandoned' });

  /** Leaves a claim behind whose owner never comes back, as a crash does. */
  async function abandon(): Promise<void> {
    gate.open();
    await send();
    const { argument } = store.calls.find(({ verb }) => verb === 'acquire')!;
    const request = argument as Parameters<FaultInjectingStore['acquire']>[0];
    store.forget(request.id);
    store.acquire({ ...request, owner: 'crashed' });
    await clock.advance(request.leaseMs);
    runs = 0;
  }

  it('run again as the next attempt', async () => {
    onAbandoned = () => 'rerun';
    await abandon();
    expect((await send()).json()).toEqual({ attempt: 2 });
    expect(runs).toBe(1);
  });

  it('are answered with the reply that was found out', async () => {
    onAbandoned = () =>
      recoveredReply({ found: 'out' }, { status: 202, headers: { 'X-Own': 'yes' } });
    await abandon();
    const first = await send();
    expect(first).toMatchObject({
      status: 202,
      text: '{"found":"out"}',
      headers: { 'x-own': 'yes' },
    });
    onAbandoned = () => 'rerun';
    expect(await send()).toMatchObject({ status: 202, text: '{"found":"out"}' });
    expect(runs).toBe(0);
  });

  it.each<[string, () => unknown]>([
    ['JSON does not have', () => ({ amount: 5n })],
    ['contains itself', cyclic],
    ['JSON does not have', () => () => 1],
    ['decorators of class-transformer', () => ({ users: [new Hashed()] })],
  ])('leave a tombstone of a reply that cannot be sent: %s', async (why, make) => {
    onAbandoned = () => recoveredReply(make());
    await abandon();
    test.complaints.splice(0);
    expectProblem(await send(), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expectProblem(await send(), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect(test.complaints).toEqual([expect.stringContaining(why)]);
    expect(runs).toBe(0);
  });

  it.each([
    ['status', () => recoveredReply('found', { status: 1000 }), /"status of recoveredReply\(\)"/],
    [
      'header',
      () => recoveredReply('found', { headers: { 'X-Name': 'Łukasz' } }),
      /"headers of recoveredReply\(\)" is "X-Name"/,
    ],
  ])('are told of a %s that HTTP does not have', (_, make, problem) => {
    expect(make).toThrow(problem);
  });

  it('are held when nobody knows', async () => {
    onAbandoned = () => 'hold';
    await abandon();
    expectProblem(await send(), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    expectProblem(await send(), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
    expect(runs).toBe(0);
  });

  it.each(['retry', undefined, { value: 'found' }])(
    'are held for %j, which is no answer',
    async (answer) => {
      onAbandoned = () => answer as 'hold';
      await abandon();
      expectProblem(await send(), 409, 'IDEMPOTENCY_OUTCOME_UNKNOWN');
      expect(runs).toBe(0);
    },
  );

  it('are asked about again when the answer failed', async () => {
    onAbandoned = () => {
      throw new Error('the provider is down');
    };
    await abandon();
    expect((await send()).status).toBe(500);
    onAbandoned = () => recoveredReply('found');
    await clock.advance(1_000);
    const reply = await send();
    expect(reply).toMatchObject({ status: 200, text: 'found' });
    expect(reply.headers['content-type']).toBe('text/plain; charset=utf-8');
    expect(runs).toBe(0);
  });
});
