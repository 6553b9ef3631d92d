import autocannon from 'autocannon';
import { randomUUID } from 'node:crypto';
import { createHistogram } from 'node:perf_hooks';

const BODY = JSON.stringify({
  customer: 'c-2093',
  sku: 'tea-earl-grey-250g',
  quantity: 3,
  price: '7.90',
  note: 'ring twice',
});
const HEADERS = { 'Content-Type': 'application/json' };

/** What came of some load. */
export interface Load {
  readonly requests: number;
  readonly perSecond: number;
  readonly p50Micros: number;
  readonly p99Micros: number;
}

/** Keys as long as a UUID, at the price of a counter. */
export function newKeys(): () => string {
  const run = randomUUID().slice(0, 24);
  let count = 0;
  return () => run + (count += 1).toString(16).padStart(12, '0');
}

/** One request outside of the load: its reply is what all others will look like. */
export async function sendOne(url: string, key: string): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { ...HEADERS, 'Idempotency-Key': key },
    body: BODY,
  });
  const reply = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${reply}`);
  return reply;
}

/**
 * Sends so many requests, as fast as the server takes them. Every request is built anew, whether or not its key is,
 * so that the load costs the same for all.
 *
 * @throws Error when a reply is no success: what is measured would be something else
 */
export async function fire(
  url: string,
  { connections, requests, key }: { connections: number; requests: number; key: () => string },
): Promise<Load> {
  const latencies = createHistogram();
  const startedAt = performance.now();
  let endedAt = startedAt;
  const result = await new Promise<autocannon.Result>((resolve, reject) => {
    const run = autocannon(
      {
        url,
        connections,
        amount: requests,
        sampleInt: 100,
        requests: [
          {
            method: 'POST',
            headers: HEADERS,
            body: BODY,
            setupRequest: (request) => {
              request.headers = { ...request.headers, 'idempotency-key': key() };
              return request;
            },
          },
        ],
      },
      (error: unknown, done) => (error ? reject(error as Error) : resolve(done)),
    );
    // Its own latencies are whole milliseconds: longer than most replies take.
    run.on('response', (_client, _status, _bytes, durationMs) => {
      latencies.record(Math.max(1, Math.round(durationMs * 1000)));
      // It looks only ten times a second whether all replies are there.
      endedAt = performance.now();
    });
  });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${url}: ${result.non2xx} refusals and ${result.errors} errors under load.`);
  return {
    requests: latencies.count,
    perSecond: (latencies.count * 1000) / (endedAt - startedAt),
    p50Micros: latencies.percentile(50),
    p99Micros: latencies.percentile(99),
  };
}
