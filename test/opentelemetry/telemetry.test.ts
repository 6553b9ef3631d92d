import { Body, Controller, Post } from '@nestjs/common';
import { context, metrics, type Span, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  type DataPoint,
  type Histogram,
  MeterProvider,
  MetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import {
  header,
  IdempotencyService,
  Idempotent,
  type IdempotentOperation,
  MemoryStore,
  Operation,
} from 'nestjs-idempotency';
import { IdempotencyTelemetryModule } from 'nestjs-idempotency/opentelemetry';
import { failAfter, failBefore, FaultInjectingStore, Gate } from 'nestjs-idempotency/testing';
import { boot, eventually, PLATFORMS, type TestApp } from '../support/http.js';
import { setTimeout as sleep } from 'node:timers/promises';

const KEY = 'secret-key';
const PRINCIPAL = 'secret-caller';
const CONTENT = 'secret-content';

/** The SDK's reader, which an exporter would be driven by. */
class Reader extends MetricReader {
  protected override onShutdown = (): Promise<void> => Promise.resolve();
  protected override onForceFlush = (): Promise<void> => Promise.resolve();
}

const reader = new Reader();
const meters = new MeterProvider({ readers: [reader] });
const spans = new InMemorySpanExporter();
const tracers = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] });

beforeAll(() => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  metrics.setGlobalMeterProvider(meters);
  trace.setGlobalTracerProvider(tracers);
});

afterAll(async () => {
  await meters.shutdown();
  await tracers.shutdown();
  context.disable();
  metrics.disable();
  trace.disable();
});

interface Point {
  readonly attributes: Record<string, unknown>;
  readonly value: number;
}

/** Everything that was measured so far: of histograms, how many values. */
async function read(): Promise<Map<string, Point[]>> {
  const { resourceMetrics, errors } = await reader.collect();
  expect(errors).toEqual([]);
  const own = resourceMetrics.scopeMetrics.filter(
    ({ scope }) => scope.name === 'nestjs-idempotency',
  );
  return new Map(
    own
      .flatMap((scope) => scope.metrics)
      .map(({ descriptor, dataPoints }) => [
        descriptor.name,
        (dataPoints as DataPoint<number | Histogram>[]).map(({ attributes, value }) => ({
          attributes,
          value: typeof value === 'number' ? value : value.count,
        })),
      ]),
  );
}

/** The sum of all that a histogram was given so far. */
async function sumOf(name: string): Promise<number> {
  const { resourceMetrics } = await reader.collect();
  return resourceMetrics.scopeMetrics
    .flatMap(({ metrics }) => metrics)
    .filter(({ descriptor }) => descriptor.name === name)
    .flatMap(({ dataPoints }) => dataPoints as DataPoint<Histogram>[])
    .reduce((sum, { value }) => sum + (value.sum ?? 0), 0);
}

describe.each(PLATFORMS)('telemetry on %s', (platform) => {
  let test: TestApp;
  let gate: Gate;
  const store = new FaultInjectingStore(new MemoryStore());
  let before: Map<string, Point[]>;
  let keys = 0;
  let callers = 0;
  /** Asked for right before the engine is. */
  const principal = (): string => {
    callers += 1;
    return PRINCIPAL;
  };

  @Controller()
  class PaymentsController {
    @Idempotent({ wait: '10s' })
    @Post('payments')
    async pay(@Operation() op: IdempotentOperation): Promise<object> {
      await gate.pass();
      return { paid: CONTENT, attempt: op.attempt };
    }

    @Idempotent()
    @Post('busy')
    busy(): Promise<void> {
      return gate.pass();
    }

    @Idempotent({ onError: () => 'hold' })
    @Post('unknown')
    unknown(): never {
      throw new Error('did it go through?');
    }

    @Idempotent()
    @Post('broken')
    broken(): never {
      throw new Error('out of order');
    }

    @Idempotent({ onStoreFailure: 'proceed' })
    @Post('proceeding')
    proceed(): void {}

    @Idempotent({ strategy: 'lock', key: header('Idempotency-Key') })
    @Post('locked')
    locked(@Body() _body: unknown): void {}

    @Idempotent({ lease: '1s' })
    @Post('short')
    short(): Promise<void> {
      return gate.pass();
    }
  }

  beforeAll(async () => {
    test = await boot(platform, {
      imports: [IdempotencyTelemetryModule],
      controllers: [PaymentsController],
      idempotency: { store, isGlobal: false, principal },
      // As instrumentation of HTTP does it.
      configure: (app) =>
        app.use((request: { url: string }, response: NodeJS.EventEmitter, next: () => void) =>
          tracers.getTracer('http').startActiveSpan(request.url, (span: Span) => {
            response.once('finish', () => span.end());
            next();
          }),
        ),
    });
  });

  beforeEach(async () => {
    keys += 1;
    gate = new Gate();
    gate.open();
    spans.reset();
    before = await read();
  });

  afterAll(() => test?.close());

  const send = (path: string, body: unknown = { text: CONTENT }) =>
    test.send(path, { key: `${KEY}-${platform}-${keys}`, body });

  /** What was added since the test began. */
  const added = async (name: string): Promise<Point[]> => {
    const known = new Map(
      before.get(name)?.map(({ attributes, value }) => [JSON.stringify(attributes), value]),
    );
    return ((await read()).get(name) ?? [])
      .map(({ attributes, value }) => ({
        attributes,
        value: value - (known.get(JSON.stringify(attributes)) ?? 0),
      }))
      .filter(({ value }) => value > 0);
  };

  const outcome = (name: string, more: object = {}, strategy = 'unique-key') => ({
    attributes: { 'idempotency.strategy': strategy, 'idempotency.outcome': name, ...more },
    value: 1,
  });

  const attributesOfSpans = async (count: number) => {
    await eventually(() => spans.getFinishedSpans().length === count);
    return spans.getFinishedSpans().map(({ attributes }) => attributes);
  };

  it('counts what ran, and what was answered from the record', async () => {
    await send('/payments');
    await send('/payments');
    expect(await added('idempotency.operations')).toEqual([
      outcome('executed'),
      outcome('replayed'),
    ]);
    const stored = { 'idempotency.strategy': 'unique-key', 'idempotency.settlement': 'stored' };
    expect(await added('idempotency.settlements')).toEqual([{ attributes: stored, value: 1 }]);
    expect(await added('idempotency.handler.duration')).toMatchObject([{ value: 1 }]);
    expect(await attributesOfSpans(2)).toEqual([
      {
        'idempotency.scope': 'POST /payments',
        'idempotency.strategy': 'unique-key',
        'idempotency.attempt': 1,
        'idempotency.outcome': 'executed',
        'idempotency.settlement': 'stored',
      },
      {
        'idempotency.scope': 'POST /payments',
        'idempotency.strategy': 'unique-key',
        'idempotency.outcome': 'replayed',
      },
    ]);
  });

  it('counts refusals by their code', async () => {
    await send('/payments');
    await send('/payments', { text: 'other content' });
    await test.send('/payments', { body: {} });
    expect(await added('idempotency.operations')).toEqual(
      expect.arrayContaining([
        outcome('rejected', { 'idempotency.code': 'IDEMPOTENCY_KEY_REUSED' }),
        outcome('rejected', { 'idempotency.code': 'IDEMPOTENCY_KEY_REQUIRED' }),
      ]),
    );
    expect((await attributesOfSpans(3)).slice(1)).toMatchObject([
      { 'idempotency.outcome': 'rejected', 'idempotency.code': 'IDEMPOTENCY_KEY_REUSED' },
      { 'idempotency.outcome': 'rejected', 'idempotency.code': 'IDEMPOTENCY_KEY_REQUIRED' },
    ]);
  });

  it('measures how long duplicates wait', async () => {
    gate = new Gate();
    const first = send('/payments');
    await gate.reached();
    callers = 0;
    const second = send('/payments');
    await eventually(() => callers === 1);
    gate.open();
    await Promise.all([first, second]);
    expect(await added('idempotency.wait.duration')).toMatchObject([{ value: 1 }]);
    expect(await attributesOfSpans(2)).toContainEqual(
      expect.objectContaining({
        'idempotency.outcome': 'replayed',
        'idempotency.waited_ms': expect.any(Number) as number,
      }),
    );
  });

  it('measures in seconds', async () => {
    const sumBefore = await sumOf('idempotency.handler.duration');
    const startedAt = performance.now();
    gate = new Gate();
    const first = send('/payments');
    await gate.reached();
    await sleep(30);
    gate.open();
    await first;
    const seconds = (performance.now() - startedAt) / 1000;
    const measured = (await sumOf('idempotency.handler.duration')) - sumBefore;
    expect(measured).toBeGreaterThan(0.02);
    // Another clock measures, which counts whole milliseconds.
    expect(measured).toBeLessThan(seconds + 0.01);
  });

  it('counts what was released, and what is held', async () => {
    await send('/broken');
    await send('/unknown');
    const settled = (await added('idempotency.settlements')).map(
      ({ attributes }) => attributes['idempotency.settlement'],
    );
    expect(settled.map(String).toSorted()).toEqual(['held', 'released']);
  });

  it('names the strategy', async () => {
    await send('/locked');
    expect(await added('idempotency.operations')).toEqual([outcome('executed', {}, 'lock')]);
  });

  it('counts leases that were lost, and operations that were taken over', async () => {
    gate = new Gate();
    const first = send('/short');
    await gate.reached();
    store.always('extend', failBefore());
    await eventually(async () => (await added('idempotency.lost_leases')).length === 1);
    store.heal();
    const retry = send('/short');
    await eventually(async () => (await added('idempotency.takeovers')).length === 1);
    gate.open();
    await Promise.all([first, retry]);
    await eventually(() => spans.getFinishedSpans().length === 2);
    const names = spans.getFinishedSpans().flatMap(({ events }) => events.map(({ name }) => name));
    expect(names.toSorted()).toEqual(['idempotency.lease-lost', 'idempotency.taken-over']);
  });

  it('measures every call of the store, and says which of them failed', async () => {
    await send('/payments');
    await send('/payments');
    store.next('acquire', failBefore());
    keys += 1;
    await send('/busy');
    store.next('acquire', failBefore());
    await send('/proceeding');
    store.next('complete', failAfter());
    await send('/busy');
    const calls = await added('idempotency.store.duration');
    const failed = { 'error.type': 'unavailable' };
    expect(calls).toEqual(
      expect.arrayContaining([
        { attributes: { 'idempotency.store.verb': 'acquire' }, value: 3 },
        { attributes: { 'idempotency.store.verb': 'acquire', ...failed }, value: 2 },
        { attributes: { 'idempotency.store.verb': 'complete', ...failed }, value: 1 },
      ]),
    );
    expect(await added('idempotency.operations')).toEqual(
      expect.arrayContaining([
        outcome('rejected', { 'idempotency.code': 'IDEMPOTENCY_STORE_UNAVAILABLE' }),
        outcome('unprotected'),
      ]),
    );
    expect(await added('idempotency.failed_completions')).toMatchObject([
      { attributes: { 'idempotency.store.verb': 'complete' } },
    ]);
  });

  it('covers code that asks by itself', async () => {
    const service = test.app.get(IdempotencyService, { strict: false });
    await service.run({ scope: 'invoice', key: KEY + platform }, () => CONTENT);
    expect(await added('idempotency.operations')).toEqual([outcome('executed')]);
  });

  it('never carries a key, a caller or content', async () => {
    await send('/payments');
    await send('/payments');
    const told = JSON.stringify([
      [...(await read())],
      spans.getFinishedSpans().map(({ attributes, events }) => ({ attributes, events })),
    ]);
    expect(told).toContain('idempotency.outcome');
    for (const secret of [KEY, PRINCIPAL, CONTENT]) expect(told).not.toContain(secret);
  });
});
