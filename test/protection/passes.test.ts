import {
  Controller,
  type NestInterceptor,
  Post,
  UnprocessableEntityException,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { Idempotent } from 'nestjs-idempotency';
import { IdempotencyInterceptor } from 'nestjs-idempotency/contracts';
import {
  catchError,
  defer,
  first,
  map,
  merge,
  type Observable,
  of,
  retry,
  shareReplay,
  switchMap,
  throwError,
  timeout,
  timer,
} from 'rxjs';
import { boot, eventually, PLATFORMS } from '../support/http.js';
import { bootTarget, type Target, TARGETS } from './support/targets.js';

const WORK_MS = 40;

let runs = 0;
let running = 0;
let mostAtOnce = 0;
/** Holds the work back, if there is one. */
let gate: Promise<void> | undefined;

async function pay(): Promise<string> {
  const run = ++runs;
  running += 1;
  mostAtOnce = Math.max(mostAtOnce, running);
  await (gate ?? new Promise((resolve) => setTimeout(resolve, WORK_MS)));
  running -= 1;
  return `run ${run}`;
}

function interceptor(
  around: (next: () => Observable<unknown>) => Observable<unknown>,
): NestInterceptor {
  return { intercept: (_context, next) => around(() => next.handle()) };
}

/** Fails what has come out the first time, as a connection that breaks does. */
function failingFirst(): (source: Observable<unknown>) => Observable<unknown> {
  let calls = 0;
  return switchMap((value) =>
    ++calls === 1 ? throwError(() => new Error('lost on the way out')) : of(value),
  );
}

/** What applications put around handlers, each time new: some of them count. */
const AROUND: Readonly<Record<string, () => NestInterceptor>> = {
  'tries again at once': () => interceptor((next) => next().pipe(retry(2))),
  'tries again later': () => interceptor((next) => next().pipe(retry({ count: 2, delay: 10 }))),
  'tries again after a time-out': () =>
    interceptor((next) => next().pipe(timeout(10), retry({ count: 9, delay: 2 }))),
  'tries again what has come out': () =>
    interceptor((next) => next().pipe(failingFirst(), retry(1))),
  'goes on again when it fails': () =>
    interceptor((next) =>
      next().pipe(
        failingFirst(),
        catchError(() => next()),
      ),
    ),
  hedges: () =>
    interceptor((next) => merge(next(), timer(5).pipe(switchMap(() => next()))).pipe(first())),
  'subscribes twice': () =>
    interceptor((next) => {
      const result = next();
      result.subscribe({ error: () => undefined });
      return result;
    }),
  'subscribes to two at once': () =>
    interceptor((next) => merge(defer(next), defer(next)).pipe(first())),
  'listens along': () =>
    interceptor((next) => {
      const result = next().pipe(shareReplay(1));
      result.subscribe({ error: () => undefined });
      return result;
    }),
};

describe.each(TARGETS)('an interceptor around a protected handler: %s', (name) => {
  let target: Target;

  beforeEach(() => {
    runs = 0;
    running = 0;
    mostAtOnce = 0;
  });
  afterEach(() => target.close());

  it.each(Object.keys(AROUND))('that %s leads to one run', async (hazard) => {
    target = await bootTarget(name, { work: pay, outer: AROUND[hazard]!() });
    await Promise.all(['a', 'a', 'b'].map((key) => target.call(key)));
    await eventually(async () => (await target.state('a')) === 'completed');
    await eventually(async () => (await target.state('b')) === 'completed');
    await Promise.all(['a', 'a', 'b'].map((key) => target.call(key)));
    expect({ runs, running }).toEqual({ runs: 2, running: 0 });
  });

  it('that tries again gets a new attempt when the handler has failed, and never two at once', async () => {
    const work = async (): Promise<string> => {
      const run = await pay();
      if (runs === 1) throw new Error('the provider is down');
      return run;
    };
    target = await bootTarget(name, { work, outer: AROUND['tries again at once']!() });
    expect(await target.call('k')).toBe('ok run 2');
    expect(await target.call('k')).toBe('ok run 2');
    expect({ runs, mostAtOnce }).toEqual({ runs: 2, mostAtOnce: 1 });
  });

  it('that tries again gets the failure that is the result, and runs nothing', async () => {
    const work = async (): Promise<string> => {
      await pay();
      throw new UnprocessableEntityException('declined');
    };
    const outer = AROUND['tries again at once']!();
    target = await bootTarget(name, { work, outer, options: { onError: 'store' } });
    const first = await target.call('k');
    expect(await target.call('k')).toBe(first);
    expect({ runs, mostAtOnce }).toEqual({ runs: 1, mostAtOnce: 1 });
  });

  it('that tries again goes on with the claim when the handler was not reached', async () => {
    let tries = 0;
    const inner: NestInterceptor = {
      intercept: (_context, next) =>
        ++tries === 1 ? throwError(() => new Error('not yet')) : next.handle(),
    };
    const outer = AROUND['tries again at once']!();
    target = await bootTarget(name, { work: pay, outer, inner });
    expect(await target.call('k')).toBe('ok run 1');
    expect(await target.call('k')).toBe('ok run 1');
    expect(runs).toBe(1);
  });

  it.each([undefined, 'tries again at once', 'hedges'])(
    'leads to one run with the interceptor registered for all handlers as well: %s',
    async (hazard) => {
      target = await bootTarget(name, {
        work: pay,
        outer: hazard === undefined ? undefined : AROUND[hazard]!(),
        providers: [{ provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor }],
      });
      expect(await target.call('k')).toBe('ok run 1');
      expect(await target.call('k')).toBe('ok run 1');
      expect(runs).toBe(1);
    },
  );

  it('that tries again is refused again while another call runs', async () => {
    target = await bootTarget(name, { work: pay, outer: AROUND['tries again at once']!() });
    let open = (): void => undefined;
    gate = new Promise((resolve) => (open = resolve));
    const first = target.call('k');
    await eventually(() => runs === 1);
    expect(await target.call('k')).toContain('IDEMPOTENCY_KEY_IN_USE');
    open();
    expect(await first).toBe('ok run 1');
    expect(mostAtOnce).toBe(1);
  });

  it.each([
    ['throws', () => new Error('the reply is not as its schema says')],
    ['refuses', () => new UnprocessableEntityException('the reply is not as its schema says')],
  ])('that %s after the handler has succeeded does not have it run again', async (_name, error) => {
    const outer = interceptor((next) =>
      next().pipe(
        map(() => {
          throw error();
        }),
      ),
    );
    target = await bootTarget(name, { work: pay, outer });
    for (const _call of ['first', 'retry', 'again'])
      expect(await target.call('k')).toMatch(/^failed/);
    expect(runs).toBe(1);
  });

  it.each([
    ['throws', () => new Error('the reply is not as its schema says')],
    ['refuses', () => new UnprocessableEntityException('the reply is not as its schema says')],
  ])('further in that %s after it does not either', async (_name, error) => {
    const inner = interceptor((next) =>
      next().pipe(
        map(() => {
          throw error();
        }),
      ),
    );
    target = await bootTarget(name, { work: pay, inner });
    for (const _call of ['first', 'retry', 'again'])
      expect(await target.call('k')).toMatch(/^failed/);
    expect(runs).toBe(1);
  });

  it.each([
    ['that tries again', AROUND['tries again at once']!],
    ['that tries again later', AROUND['tries again later']!],
  ])('further in %s has a handler that failed run again, in the same attempt', async (_, inner) => {
    const work = async (): Promise<string> => {
      const run = await pay();
      if (runs === 1) throw new Error('the provider is down');
      return run;
    };
    target = await bootTarget(name, { work, inner: inner() });
    const claims: string[] = [];
    target.service.events$.subscribe(({ type }) => claims.push(type));
    expect(await target.call('k')).toBe('ok run 2');
    expect(await target.call('k')).toBe('ok run 2');
    expect({ runs, mostAtOnce }).toEqual({ runs: 2, mostAtOnce: 1 });
    expect(claims).toEqual(['claimed', 'executed', 'stored', 'replayed']);
  });

  it.each([
    'tries again after a time-out',
    'tries again what has come out',
    'goes on again when it fails',
    'hedges',
    'subscribes twice',
    'subscribes to two at once',
  ])(
    'further in that %s does not have it run beside itself, or after a success',
    async (hazard) => {
      target = await bootTarget(name, { work: pay, inner: AROUND[hazard]!() });
      expect(await target.call('k')).toBe('ok run 1');
      expect(await target.call('k')).toBe('ok run 1');
      expect({ runs, mostAtOnce }).toEqual({ runs: 1, mostAtOnce: 1 });
    },
  );
});

describe.each(PLATFORMS)('a call without a key on %s', (platform) => {
  it('runs as often as interceptors further in try again', async () => {
    runs = 0;
    @Controller()
    class Payments {
      @UseInterceptors(AROUND['tries again at once']!())
      @Idempotent({ required: false })
      @Post('pay')
      async pay(): Promise<string> {
        const run = await pay();
        if (runs < 3) throw new Error('the provider is down');
        return run;
      }
    }
    const test = await boot(platform, { controllers: [Payments] });
    const { status, text } = await test.send('/pay', {});
    expect({ status, text }).toEqual({ status: 201, text: 'run 3' });
    await test.close();
  });
});
