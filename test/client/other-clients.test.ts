import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { Response } from 'express';
import { IdempotencyException } from 'nestjs-idempotency';
import { readFileSync, writeFileSync } from 'node:fs';
import Stripe from 'stripe';
import { OTHER_CLIENTS, type OtherClient } from './support/other-clients.js';
import {
  type Outcome,
  PaymentsWorld,
  type Situation,
  SITUATIONS,
} from './support/payments.world.js';

const PAGE = 'docs/other-clients.md';
const TABLE = /(?<=\n)\| client +\| reply lost[\s\S]*?\n(?=\n)/;

/** The errors that clients of Stripe know. */
@Catch(IdempotencyException)
class StripeErrors implements ExceptionFilter {
  catch(refusal: IdempotencyException, host: ArgumentsHost): void {
    const isAboutKey = refusal.code === 'IDEMPOTENCY_KEY_REUSED';
    host
      .switchToHttp()
      .getResponse<Response>()
      .status(isAboutKey ? 400 : refusal.getStatus())
      .json({
        error: {
          type: isAboutKey ? 'idempotency_error' : 'invalid_request_error',
          code: refusal.code.toLowerCase(),
          message: refusal.problem.detail,
        },
      });
  }
}

/** Of what a client does in each situation, in the words of the page. */
type Row = Readonly<Record<Situation, Outcome>>;

async function observe({ make }: OtherClient, isSet: boolean): Promise<Row> {
  const [world, waiting] = [await PaymentsWorld.start(false), await PaymentsWorld.start(true)];
  const row: Partial<Record<Situation, Outcome>> = {};
  try {
    for (const situation of SITUATIONS) {
      const place = situation === 'still running, `wait`' ? waiting : world;
      row[situation] = await place.outcomeIn(situation, make(place.port, isSet));
    }
    return row as Row;
  } finally {
    await world.close();
    await waiting.close();
  }
}

function words({ status, requests }: Outcome): string {
  const answer = status === undefined ? 'no answer' : String(status);
  if (requests === 1) return answer;
  return answer === '201' ? 'repeats until 201' : `repeats, then ${answer}`;
}

const cases = OTHER_CLIENTS.flatMap((client) =>
  (client.line === undefined ? [false] : [false, true]).map(
    (isSet) => [`${client.name}${isSet ? ', set' : ''}`, client, isSet] as const,
  ),
);

describe('clients that nobody here wrote', () => {
  const rows = new Map<string, Row>();

  // All at once: they do little but wait.
  beforeAll(async () => {
    await Promise.all(
      cases.map(async ([name, client, isSet]) => rows.set(name, await observe(client, isSet))),
    );
  });

  it.each(cases)('run a payment once, with one key, whatever happens: %s', (name) => {
    for (const situation of SITUATIONS) {
      const { status, runs, keys } = rows.get(name)![situation];
      const expected = status === 503 ? 0 : 1;
      expect({ situation, runs, keys }).toEqual({ situation, runs: expected, keys: 1 });
    }
  });

  it.each(cases.filter(([, { line }, isSet]) => line === undefined || isSet))(
    'get their reply with `wait`, and nobody takes a refusal for one: %s',
    (name) => {
      const row = rows.get(name)!;
      expect(row['still running, `wait`']).toMatchObject({ status: 201, requests: 1 });
      expect(row['other content'].status).toBe(422);
      expect(row['outcome unknown'].status).toBe(409);
    },
  );

  it('are described on their page as they are', () => {
    const table = [
      ['client', ...SITUATIONS],
      ...cases.map(([name]) => [name, ...SITUATIONS.map((of) => words(rows.get(name)![of]))]),
    ];
    const page = readFileSync(PAGE, 'utf8');
    // Makes the page of the tests: WRITE_TABLES=yes npm run jest -- test/client/other-clients
    if (process.env['WRITE_TABLES'] === 'yes') {
      const [head, ...others] = table.map((cells) => `| ${cells.join(' | ')} |\n`);
      const rule = `|${' --- |'.repeat(table[0]!.length)}\n`;
      writeFileSync(PAGE, page.replace(TABLE, `${head}${rule}${others.join('')}`));
    }
    const written = TABLE.exec(readFileSync(PAGE, 'utf8'))?.[0] ?? '';
    const cellsOf = (line: string) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim());
    const lines = written.trimEnd().split('\n');
    expect(lines.filter((line) => !line.startsWith('| -')).map(cellsOf)).toEqual(table);
    expect(OTHER_CLIENTS.flatMap(({ line = '' }) => (page.includes(line) ? [] : line))).toEqual([]);
  });

  it('of Stripe know the errors that a filter gives them', async () => {
    const world = await PaymentsWorld.start(false, new StripeErrors());
    try {
      const address = { host: '127.0.0.1', port: world.port, protocol: 'http' } as const;
      const stripe = new Stripe('sk_test_alice', { ...address, telemetry: false });
      const send = (amount: number) =>
        stripe.paymentIntents.create({ amount, currency: 'eur' }, { idempotencyKey: 'k' });
      expect(await send(5)).toMatchObject({ id: 'payment-1' });
      const error = await send(6).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(Stripe.errors.StripeIdempotencyError);
      expect(error).toMatchObject({
        code: 'idempotency_key_reused',
        headers: { 'idempotency-error': 'IDEMPOTENCY_KEY_REUSED' },
      });
    } finally {
      await world.close();
    }
  });
});
