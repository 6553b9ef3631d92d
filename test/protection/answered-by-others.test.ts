import {
  Controller,
  type INestApplication,
  type NestInterceptor,
  Post,
  RequestTimeoutException,
  Res,
  UseInterceptors,
} from '@nestjs/common';
import connectTimeout from 'connect-timeout';
import type { FastifyInstance } from 'fastify';
import { IdempotencyService, Idempotent, MemoryStore } from 'nestjs-idempotency';
import { Gate } from 'nestjs-idempotency/testing';
import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  concat,
  defer,
  ignoreElements,
  merge,
  type Observable,
  of,
  retry,
  Subject,
  timeout,
} from 'rxjs';
import {
  boot,
  eventually,
  expectProblem,
  type Platform,
  PLATFORMS,
  type TestApp,
} from '../support/http.js';

/** Longer than it takes a request to come to its handler. */
const PATIENCE_MS = 60;

let runs = 0;
let running = 0;
let mostAtOnce = 0;
let fails = false;
let gate = new Gate();

async function work(): Promise<{ run: number }> {
  const run = ++runs;
  running += 1;
  mostAtOnce = Math.max(mostAtOnce, running);
  await gate.pass();
  running -= 1;
  if (fails) throw new Error('the provider has refused');
  return { run };
}

@Controller()
class Payments {
  @Idempotent()
  @Post('promise')
  promise(): Promise<unknown> {
    return work();
  }

  @Idempotent()
  @Post('observable')
  observable(): Observable<unknown> {
    return defer(work);
  }

  @Idempotent()
  @Post('promise-of-observable')
  async promiseOfObservable(): Promise<Observable<unknown>> {
    await Promise.resolve();
    return defer(work);
  }
}
const HANDLERS = ['/promise', '/observable', '/promise-of-observable'];

interface Other {
  readonly on: readonly Platform[];
  readonly fastify?: object;
  readonly configure?: (app: INestApplication) => unknown;
}

function onTimeOut(answer: (response: ServerResponse) => void): Other['configure'] {
  return (app) =>
    app.use((_request: IncomingMessage, response: ServerResponse, next: () => void) => {
      const timer = setTimeout(() => answer(response), PATIENCE_MS);
      response.once('close', () => clearTimeout(timer));
      next();
    });
}

function around(change: (source: Observable<unknown>) => Observable<unknown>): Other['configure'] {
  const interceptor: NestInterceptor = {
    intercept: (_context, next) => change(next.handle()),
  };
  return (app) => app.useGlobalInterceptors(interceptor);
}

/** Whoever answers in the place of a handler that takes too long. */
const OTHERS: Readonly<Record<string, Other>> = {
  'connect-timeout': {
    on: ['express'],
    configure: (app) => app.use(connectTimeout(`${PATIENCE_MS}ms`)),
  },
  'response.setTimeout()': {
    on: PLATFORMS,
    configure: (app) =>
      app.use((_request: IncomingMessage, response: ServerResponse, next: () => void) => {
        response.setTimeout(PATIENCE_MS, () => {
          response.statusCode = 503;
          response.end('too slow');
        });
        next();
      }),
  },
  'middleware that ends the response': {
    on: PLATFORMS,
    configure: onTimeOut((response) => {
      response.statusCode = 503;
      response.end('too slow');
    }),
  },
  'middleware that says that all is well': {
    on: PLATFORMS,
    configure: onTimeOut((response) => {
      response.writeHead(202, { 'Content-Type': 'text/plain' });
      response.end('still at it');
    }),
  },
  'handlerTimeout of Fastify': { on: ['fastify'], fastify: { handlerTimeout: PATIENCE_MS } },
  'a hook of Fastify': {
    on: ['fastify'],
    configure: (app) =>
      (app.getHttpAdapter().getInstance() as FastifyInstance).addHook(
        'preHandler',
        (_request, reply, done) => {
          setTimeout(() => void reply.code(503).send({ slow: true }), PATIENCE_MS);
          done();
        },
      ),
  },
  'an interceptor that gives up': {
    on: PLATFORMS,
    configure: around((source) => source.pipe(timeout(PATIENCE_MS))),
  },
  'an interceptor that has something else to say': {
    on: PLATFORMS,
    configure: around((source) =>
      source.pipe(timeout({ each: PATIENCE_MS, with: () => of('from yesterday') })),
    ),
  },
};

const CASES = Object.entries(OTHERS).flatMap(([name, other]) =>
  other.on.flatMap((platform) =>
    HANDLERS.map((path): [string, Platform, string, Other] => [name, platform, path, other]),
  ),
);

describe.each(CASES)('%s on %s, in the place of %s', (_name, platform, path, other) => {
  let test: TestApp;

  beforeEach(async () => {
    runs = 0;
    running = 0;
    mostAtOnce = 0;
    fails = false;
    gate = new Gate();
    test = await boot(platform, {
      controllers: [Payments],
      idempotency: { store: new MemoryStore() },
      fastify: other.fastify,
      configure: other.configure,
    });
  });
  afterEach(async () => {
    gate.open();
    await test.close();
  });

  const send = () => test.send(path, { key: 'k' });
  const state = async () =>
    (await test.app.get(IdempotencyService).find({ scope: `POST ${path}`, key: 'k' }))?.state;

  it('does not free the key of the handler, which goes on: a success is not repeated', async () => {
    const first = await send();
    expect(first.headers).not.toHaveProperty('idempotent-replayed');
    expect({ runs, running }).toEqual({ runs: 1, running: 1 });
    expectProblem(await send(), 409, 'IDEMPOTENCY_KEY_IN_USE');
    gate.open();
    await eventually(async () => (await state()) === 'completed');
    expectProblem(await send(), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect({ runs, mostAtOnce }).toEqual({ runs: 1, mostAtOnce: 1 });
  });

  it('leaves the end to the handler: a failure may be tried again', async () => {
    fails = true;
    await send();
    expectProblem(await send(), 409, 'IDEMPOTENCY_KEY_IN_USE');
    gate.open();
    await eventually(async () => (await state()) === 'released');
    fails = false;
    expect((await send()).json()).toEqual({ run: 2 });
    expect({ runs, mostAtOnce }).toEqual({ runs: 2, mostAtOnce: 1 });
  });
});

/** As far as the two platforms agree. */
interface AnyResponse {
  readonly raw?: ServerResponse;
  status(code: number): { send(body: unknown): unknown };
  header(name: string, value: string): unknown;
}

/** How handlers answer by themselves. */
const ANSWERS: Readonly<Record<string, (response: AnyResponse, value: object) => unknown>> = {
  'the framework’s response': (response, value) => response.status(201).send(value),
  'a header first': (response, value) => {
    response.header('x-run', '1');
    return response.status(201).send(value);
  },
  'Node’s response': (response, value) => {
    const raw = response.raw ?? (response as unknown as ServerResponse);
    raw.setHeader('x-run', '1');
    raw.writeHead(201, { 'content-type': 'application/json' });
    raw.write('[');
    raw.end(`${JSON.stringify(value)}]`);
    return undefined;
  },
};

describe.each(
  PLATFORMS.flatMap((platform) => Object.keys(ANSWERS).map((way) => [platform, way] as const)),
)('a handler on %s that answers by %s, after another has answered', (platform, way) => {
  it('does its work to the end, which is that of the operation', async () => {
    runs = 0;
    fails = false;
    gate = new Gate();
    let finished = 0;
    @Controller()
    class Answering {
      @Idempotent()
      @Post('answering')
      async pay(@Res() response: AnyResponse): Promise<void> {
        const value = await work();
        ANSWERS[way]!(response, value);
        await new Promise((resolve) => setImmediate(resolve));
        finished += 1;
      }
    }
    const test = await boot(platform, {
      controllers: [Answering],
      configure: around((source) => source.pipe(timeout(PATIENCE_MS))),
    });
    const service = test.app.get(IdempotencyService);
    expect((await test.send('/answering', { key: 'k' })).status).toBe(500);
    gate.open();
    await eventually(
      async () =>
        (await service.find({ scope: 'POST /answering', key: 'k' }))?.state === 'completed',
    );
    expectProblem(await test.send('/answering', { key: 'k' }), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
    expect({ runs, finished }).toEqual({ runs: 1, finished: 1 });
    await test.close();
  });
});

describe.each(
  PLATFORMS.flatMap((platform) =>
    (['release', 'hold', undefined] as const).map((onError) => [platform, onError] as const),
  ),
)(
  'a handler on %s that was given up before it has answered, with onError %s',
  (platform, onError) => {
    it('never runs again when its answer is a success', async () => {
      runs = 0;
      fails = false;
      gate = new Gate();
      let giveUp = new Subject<never>();
      const tryAgain = new Subject<void>();
      const impatient: NestInterceptor = {
        intercept: (_context, next) => merge(next.handle(), giveUp),
      };
      const insistent: NestInterceptor = {
        intercept: (_context, next) =>
          next.handle().pipe(retry({ count: 2, delay: () => tryAgain })),
      };
      @Controller()
      class Answering {
        @UseInterceptors(impatient)
        @Idempotent({ ...(onError !== undefined && { onError }) })
        @UseInterceptors(insistent)
        @Post('answering')
        async pay(@Res() response: AnyResponse): Promise<void> {
          const value = await work();
          response.status(201).send(value);
          setImmediate(() => tryAgain.next());
        }
      }
      const test = await boot(platform, { controllers: [Answering] });
      const service = test.app.get(IdempotencyService);
      const first = test.send('/answering', { key: 'k' });
      await eventually(() => runs === 1);
      giveUp.error(new RequestTimeoutException());
      gate.open();
      expect((await first).json()).toEqual({ run: 1 });
      await eventually(
        async () =>
          (await service.find({ scope: 'POST /answering', key: 'k' }))?.state === 'completed',
      );
      expect((await test.send('/answering', { key: 'k' })).json()).toEqual({ run: 1 });
      expect(runs).toBe(1);
      await test.close();
    });
  },
);

describe.each(PLATFORMS)(
  'an observable on %s that has emitted when another answers',
  (platform) => {
    it('never runs again when it comes to a good end', async () => {
      runs = 0;
      gate = new Gate();
      @Controller()
      class Emitting {
        @Idempotent()
        @Post('emitting')
        pay(): Observable<unknown> {
          runs += 1;
          return concat(of({ run: runs }), defer(() => gate.pass()).pipe(ignoreElements()));
        }
      }
      const test = await boot(platform, {
        controllers: [Emitting],
        configure: onTimeOut((response) => {
          response.statusCode = 503;
          response.end('too slow');
        }),
      });
      const service = test.app.get(IdempotencyService);
      expect((await test.send('/emitting', { key: 'k' })).text).toBe('too slow');
      gate.open();
      await eventually(
        async () =>
          (await service.find({ scope: 'POST /emitting', key: 'k' }))?.state === 'completed',
      );
      expectProblem(await test.send('/emitting', { key: 'k' }), 409, 'IDEMPOTENCY_REPLY_NOT_KEPT');
      expect(runs).toBe(1);
      await test.close();
    });
  },
);

/** Answers only when it is let. */
class GatedStore extends MemoryStore {
  readonly gate = new Gate();

  override acquire(
    request: Parameters<MemoryStore['acquire']>[0],
  ): ReturnType<MemoryStore['acquire']> {
    const answer = super.acquire(request);
    const late = this.gate.pass().then(() => answer);
    return late as unknown as ReturnType<MemoryStore['acquire']>;
  }
}

describe.each(PLATFORMS)('an answer that comes before the handler has begun, on %s', (platform) => {
  it('gives the claim back, and nothing runs', async () => {
    runs = 0;
    gate = new Gate();
    gate.open();
    const store = new GatedStore();
    let isSlow = true;
    const configure = onTimeOut((response) => {
      if (!isSlow) return;
      response.statusCode = 503;
      response.end('too slow');
    });
    const test = await boot(platform, {
      controllers: [Payments],
      idempotency: { store },
      configure,
    });
    try {
      const service = test.app.get(IdempotencyService);
      const state = async () => (await service.find({ scope: 'POST /promise', key: 'k' }))?.state;
      expect((await test.send('/promise', { key: 'k' })).text).toBe('too slow');
      expect(await state()).toBe('in-flight');
      store.gate.open();
      await eventually(async () => (await state()) === 'released');
      expect(runs).toBe(0);
      isSlow = false;
      expect((await test.send('/promise', { key: 'k' })).json()).toEqual({ run: 1 });
      expect(test.complaints).toEqual([]);
    } finally {
      await test.close();
    }
  });
});
