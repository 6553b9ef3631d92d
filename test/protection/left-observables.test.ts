import {
  BadRequestException,
  Body,
  Controller,
  type NestInterceptor,
  Post,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import { Idempotent, IdempotencyService } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import { BehaviorSubject, defer, delay, type Observable, retry, take } from 'rxjs';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  requestText,
  type TestApp,
} from '../support/http.js';

let runs = 0;
let refusals = 0;
let gate: Gate;

const RETRY: NestInterceptor = { intercept: (_context, next) => next.handle().pipe(retry(2)) };

/** Takes the first body for wrong. */
const moody = {
  transform(value: unknown): unknown {
    if (refusals > 0) {
      refusals -= 1;
      throw new BadRequestException();
    }
    return value;
  },
};

function pay(): Observable<object> {
  return defer(async () => {
    runs += 1;
    await gate.pass();
    return { run: runs };
  });
}

const SUBSCRIBES_TWICE: NestInterceptor = {
  intercept(_context, next) {
    const handled = next.handle();
    handled.subscribe({ error: () => undefined });
    return handled;
  },
};

/** Has the result, and keeps it until the client has left. */
const HESITATES: NestInterceptor = {
  intercept: (_context, next) => next.handle().pipe(delay(50)),
};

const TAKES_ONE: NestInterceptor = {
  intercept: (_context, next) => next.handle().pipe(take(1)),
};

/** Never ends. */
let prices: BehaviorSubject<object>;

@Controller()
class PaymentsController {
  @Post('observed')
  @Idempotent()
  observed(): Observable<object> {
    return pay();
  }

  @Post('subscribed-twice')
  @Idempotent()
  @UseInterceptors(SUBSCRIBES_TWICE)
  subscribedTwice(): Observable<object> {
    return pay();
  }

  @Post('refused-before')
  @Idempotent()
  @UseInterceptors(RETRY)
  refusedBefore(@Body(moody) _body: unknown): Observable<object> {
    return pay();
  }

  @Post('endless')
  @Idempotent({ required: false })
  @UseInterceptors(TAKES_ONE)
  endless(): Observable<object> {
    runs += 1;
    return prices;
  }

  @Post('hesitating')
  @Idempotent()
  @UseInterceptors(HESITATES)
  hesitating(): Observable<object> {
    return pay();
  }

  @Post('answered')
  @Idempotent({ onError: () => 'release' })
  @UseInterceptors(RETRY)
  async answered(
    @Res() response: { status(code: number): { send(body: unknown): unknown } },
    @Body(moody) _body: unknown,
  ): Promise<void> {
    runs += 1;
    await Promise.resolve();
    response.status(201).send({ run: runs });
  }
}

async function connectionsOf({ app }: TestApp): Promise<number> {
  const server = app.getHttpServer() as {
    getConnections(told: (error: unknown, count: number) => void): void;
  };
  return new Promise((resolve) => server.getConnections((_error, count) => resolve(count)));
}

describe.each(PLATFORMS)('on %s', (platform) => {
  beforeEach(() => {
    runs = 0;
    refusals = 0;
    gate = new Gate();
  });

  it.each([
    ['alone', '/observed'],
    ['subscribed to twice', '/subscribed-twice'],
    ['that was not reached at first', '/refused-before'],
  ])(
    'an operation whose client left ends with the observable of its handler, %s',
    async (_name, path) => {
      const app = await boot(platform, { controllers: [PaymentsController] });
      refusals = 1;
      const find = () =>
        app.app.get(IdempotencyService).find({ scope: `POST ${path}`, key: 'left' });
      const connection = await app.raw(requestText(path, ['Idempotency-Key: left']));
      await gate.reached();
      await connection.leave();
      await eventually(async () => (await connectionsOf(app)) === 0);
      expect(await find()).toMatchObject({ state: 'in-flight' });

      gate.open();
      await eventually(async () => (await find())?.state === 'completed');
      const again = await app.send(path, { key: 'left' });
      expectProblem(again, 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
      await app.close();
    },
  );

  it.each([
    ['with a key', 'k'],
    ['without one', undefined],
  ])(
    'an observable that never ends is let go once its first value is the reply: %s',
    async (_, key) => {
      prices = new BehaviorSubject<object>({ price: 1 });
      const app = await boot(platform, { controllers: [PaymentsController] });
      expect((await app.send('/endless', { key })).json()).toEqual({ price: 1 });
      expect(prices.observed).toBe(false);
      prices.next({ price: 2 });
      const price = key === undefined ? 2 : 1;
      expect((await app.send('/endless', { key })).json()).toEqual({ price });
      expect(prices.observed).toBe(false);
      await app.close();
    },
  );

  it('an operation whose client left while its result was on its way out ends as well', async () => {
    const app = await boot(platform, { controllers: [PaymentsController] });
    const find = () =>
      app.app.get(IdempotencyService).find({ scope: 'POST /hesitating', key: 'left' });
    const connection = await app.raw(requestText('/hesitating', ['Idempotency-Key: left']));
    await gate.reached();
    gate.open();
    await connection.leave();
    await eventually(async () => (await find())?.state === 'completed');
    expect(runs).toBe(1);
    await app.close();
  });

  it('a reply that a handler gives itself is kept, though a pipe had refused an earlier way to it', async () => {
    const app = await boot(platform, { controllers: [PaymentsController] });
    refusals = 1;
    const first = await app.send('/answered', { key: 'retried', body: {} });
    const second = await app.send('/answered', { key: 'retried', body: {} });
    expect(first.status).toBe(201);
    expectReplay(first, second);
    expect(runs).toBe(1);
    await app.close();
  });
});
