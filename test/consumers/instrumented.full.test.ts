import { Consumer, plainEnvironment } from './consumer.js';
import { freePort } from '../support/servers/private-server.js';
import { run } from '../package/packed.js';

/** What the application of the template prints. */
interface Result {
  readonly effects: Readonly<Record<string, number>>;
  readonly wrapped: readonly string[];
  readonly answers: readonly string[];
  readonly coverage: readonly { readonly name: string; readonly protection: string }[];
  readonly spans: readonly string[];
}

const FORMATS = {
  CommonJS: (instrument: string) => ['--require', `./instruments/${instrument}.cjs`, 'cjs/main.js'],
  'ES modules': (instrument: string) => [
    '--import',
    `./instruments/${instrument}.mjs`,
    'esm/main.js',
  ],
};

const INSTRUMENTS = {
  OpenTelemetry: { instrument: 'opentelemetry', tracing: true },
  'Sentry with tracing': { instrument: 'sentry', tracing: true },
  'Sentry without tracing': { instrument: 'sentry', tracing: false },
};

const CASES = Object.entries(INSTRUMENTS).flatMap(([name, chosen]) =>
  Object.entries(FORMATS).map(([format, argsFor]) => ({ name, ...chosen, format, argsFor })),
);

describe('an application of Nest 11 with real instrumentation around its handlers', () => {
  let consumer: Consumer | undefined;

  beforeAll(() => {
    consumer = Consumer.make('nest11-instrumented', 'installed');
    consumer.script('build');
  }, 12 * 60_000);
  afterAll(() => consumer?.remove());

  it.each(CASES)(
    'is protected all the same: $name, as $format',
    async ({ instrument, tracing, argsFor }) => {
      const env = {
        ...plainEnvironment(),
        TRACING: String(tracing),
        MESSAGES_PORT: String(await freePort()),
      };
      const options = { cwd: consumer!.folder, env, timeoutMs: 60_000 };
      const printed = run(process.execPath, argsFor(instrument), options);
      const line = /^RESULT (.+)$/m.exec(printed)?.[1];
      const { effects, wrapped, answers, coverage, spans } = JSON.parse(line!) as Result;

      // Else this shows nothing.
      expect(wrapped).toEqual(['pay', 'refund', 'charge']);
      expect(wrapped.every((name) => spans.includes(name))).toBe(tracing);

      expect(effects).toEqual({ route: 1, class: 1, provider: 1, message: 1 });
      const one = (name: string) => JSON.stringify({ name, run: 1 });
      expect(answers).toEqual([
        `/payments 201 null ${one('route')}`,
        `/refunds 201 null ${one('class')}`,
        `/payments/charge 200 null ${one('provider')}`,
        `order ${one('message')}`,
        `/payments 201 true ${one('route')}`,
        `/refunds 201 true ${one('class')}`,
        `/payments/charge 200 null ${one('provider')}`,
        `order ${one('message')}`,
      ]);
      expect(coverage.map(({ name, protection }) => `${name} ${protection}`)).toEqual([
        'PaymentsController.pay idempotent',
        'RefundsController.refund idempotent',
        'OrdersController.order idempotent',
        'Charges.charge idempotent',
      ]);
    },
    90_000,
  );
});
