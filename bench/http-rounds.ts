import { fire, type Load, newKeys, sendOne } from './load.js';
import { ServerProcess } from './server-process.js';
import { BASELINE, PLATFORMS, type Platform, SUBJECT_NAMES, type Subject } from './subjects.js';
import { type Summary, summarize } from './statistics.js';

/** One subject on one platform, over all rounds. */
export interface HttpRow {
  readonly platform: Platform;
  readonly subject: Subject;
  readonly perSecond: Summary;
  readonly p50Micros: Summary;
  readonly p99Micros: Summary;
  /** Processor time of the server per request. */
  readonly cpuMicros: Summary;
  /** Requests per second, as a part of the baseline's in the same round. */
  readonly rateRatio: Summary;
  /** The same ratio by processor time: steadier where the machine is shared. */
  readonly cpuRatio: Summary;
  /** Microseconds that a request takes longer than the baseline's, by its rate. */
  readonly addedMicros: Summary;
}

type Measured = Load & { readonly cpuMicros: number };

const FIXED_KEY = 'the-key-that-every-replay-is-sent-with';
const REPLAYED = 'idempotent-replayed';

/**
 * Measures everything in turn, round after round, so that a machine that gets slower or faster
 * on the way does so for all. The first round warms up and does not count.
 */
export async function httpRounds(
  rounds: number,
  seconds: number,
  progress: (round: number) => void,
): Promise<HttpRow[]> {
  const pairs = PLATFORMS.flatMap((platform) =>
    SUBJECT_NAMES.map((name) => [platform, name] as const),
  );
  const servers = await Promise.all(pairs.map((pair) => ServerProcess.start(...pair)));
  const measured = new Map<ServerProcess, Measured[]>();
  try {
    for (const server of servers) {
      await check(server);
      measured.set(server, []);
    }
    for (let round = 0; round <= rounds; round++) {
      progress(round);
      for (const [server, results] of measured) {
        const result = await measure(server, round === 0 ? Math.min(seconds, 1) : seconds);
        if (round > 0) results.push(result);
      }
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return servers.map((server) => {
    const baseline = servers.find(
      ({ platform, subject }) => platform === server.platform && subject === BASELINE,
    );
    return row(server, measured.get(server) ?? [], (baseline && measured.get(baseline)) ?? []);
  });
}

/** Each subject does what its name says, or its numbers mean something else. */
async function check({ url, subject, platform }: ServerProcess): Promise<void> {
  await sendOne(url, FIXED_KEY);
  const again = await sendOne(url, FIXED_KEY);
  const isReplay = again.headers.has(REPLAYED);
  if (isReplay !== (subject === 'first' || subject === 'replay'))
    throw new Error(`${subject} on ${platform}: a replay ${isReplay ? 'came' : 'did not come'}.`);
}

async function measure(server: ServerProcess, seconds: number): Promise<Measured> {
  const key = server.subject === 'replay' ? (): string => FIXED_KEY : newKeys();
  const before = await server.cpuMicros();
  const load = await fire(server.url, seconds, key);
  const spent = (await server.cpuMicros()) - before;
  return { ...load, cpuMicros: spent / load.requests };
}

function row(
  { platform, subject }: ServerProcess,
  results: readonly Measured[],
  baseline: readonly Measured[],
): HttpRow {
  const over = (value: (own: Measured, base: Measured) => number): Summary =>
    summarize(results.map((own, round) => value(own, baseline[round] ?? own)));
  return {
    platform,
    subject,
    perSecond: over((own) => own.perSecond),
    p50Micros: over((own) => own.p50Micros),
    p99Micros: over((own) => own.p99Micros),
    cpuMicros: over((own) => own.cpuMicros),
    rateRatio: over((own, base) => own.perSecond / base.perSecond),
    cpuRatio: over((own, base) => base.cpuMicros / own.cpuMicros),
    addedMicros: over((own, base) => 1e6 / own.perSecond - 1e6 / base.perSecond),
  };
}
