import { setTimeout as sleep } from 'node:timers/promises';
import type { Call, Paid, Payment } from './history.js';
import type { Random } from '../support/random.js';
import { PAUSE_BEFORE_RETRY_MS, UNRECORDED_HEADER } from './shop.js';

const PATIENCE_MS = 5_000;
/** So many keys are in use at a time, and each for so many calls. */
const PRESENT_KEYS = 8;
const CALLS_PER_KEY = 12;

/** What clients send: each of a few present keys again and again, and then never more. */
export class Workload {
  private asked = 0;

  constructor(private readonly random: Random) {}

  next(): Payment {
    this.asked += 1;
    const first = Math.floor(this.asked / CALLS_PER_KEY);
    return {
      principal: this.random.oneOf(['alice', 'bob']),
      key: `order-${first + this.random.between(0, PRESENT_KEYS)}`,
      amount: this.random.isBelow(0.05) ? 6 : 5,
    };
  }
}

/** One request, and what came of it; never fails. */
export async function pay(url: string, payment: Payment, work: Work): Promise<Call> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        connection: 'close',
        'content-type': 'application/json',
        'idempotency-key': payment.key,
        'x-principal': payment.principal,
        'x-work-ms': String(work.ms),
        ...(work.fails && { 'x-fails': 'yes' }),
      },
      body: JSON.stringify({ amount: payment.amount }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const answeredAtUs = nowUs();
    const body = (await response.json()) as Paid;
    const { status, headers } = response;
    const isReplayed = headers.has('idempotent-replayed');
    if (status !== 201) return { ...payment, status, isReplayed, answeredAtUs };
    const unrecorded = headers.get(UNRECORDED_HEADER)?.split(' ') ?? [];
    const isUnrecorded = unrecorded.includes(String(body.attempt));
    return { ...payment, status, isReplayed, isUnrecorded, answeredAtUs, paid: body };
  } catch {
    return { ...payment, status: 0, isReplayed: false, answeredAtUs: nowUs() };
  }
}

function nowUs(): number {
  return Date.now() * 1_000;
}

export interface Work {
  /** Before the effect, and again after it. */
  readonly ms: number;
  readonly fails: boolean;
}

export function someWork(random: Random): Work {
  return { ms: random.between(0, 100), fails: random.isBelow(0.05) };
}

/** Asks until it gets a reply, with each amount that may have come first. */
export async function payUntilDone(
  urls: readonly string[],
  operation: Pick<Payment, 'principal' | 'key'>,
  calls: Call[],
): Promise<void> {
  const giveUpAt = performance.now() + 8 * PATIENCE_MS;
  for (let round = 0; performance.now() < giveUpAt; round += 1) {
    const payment = { ...operation, amount: round % 2 === 0 ? 5 : 6 };
    const call = await pay(urls[round % urls.length] as string, payment, { ms: 0, fails: false });
    calls.push(call);
    if (call.paid !== undefined) return;
    await sleep(PAUSE_BEFORE_RETRY_MS);
  }
}
