import { fire, type Load, newKeys, sendOne } from './load.js';
import { ServerProcess } from './server-process.js';
import { type Summary, summarize } from './statistics.js';
import { COMPARISONS, type Platform, repeatedKeys, type Store, type Subject } from './subjects.js';

/** One subject on one platform and store, over all rounds. */
export interface HttpRow {
  readonly platform: Platform;
  readonly store: Store;
  readonly subject: Subject;
  readonly baseline: Subject;
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

export interface HttpComparison {
  readonly platform: Platform;
  readonly store: Store;
  /** Of the store's server, if there is one. */
  readonly storeUrl: string | undefined;
  readonly rounds: number;
  readonly requests: number;
  /** How many requests each server gets before anything counts. */
  readonly warmUp: number;
}

type Measured = Load & { readonly cpuMicros: number };

/**
 * Measures the subjects of one comparison in turn, in short slices, every other round backwards,
 * so that a machine that gets slower or faster on the way does so for all.
 */
export async function httpRounds(comparison: HttpComparison): Promise<HttpRow[]> {
  const { platform, store, storeUrl, rounds, requests, warmUp } = comparison;
  const { connections, baselines } = COMPARISONS[store];
  const subjects = Object.keys(baselines) as Subject[];
  const servers = await Promise.all(
    subjects.map((subject) => ServerProcess.start(platform, store, subject, storeUrl)),
  );
  const measured = new Map<Subject, Measured[]>(subjects.map((subject) => [subject, []]));
  try {
    for (const server of servers) {
      await check(server);
      await measure(server, connections, warmUp);
    }
    for (let round = 0; round < rounds; round++) {
      for (const server of round % 2 === 0 ? servers : servers.toReversed())
        measured.get(server.subject)!.push(await measure(server, connections, requests));
    }
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
  return subjects.map((subject) => {
    const baseline = baselines[subject]!;
    const ratios = row(measured.get(subject)!, measured.get(baseline)!);
    return { platform, store, subject, baseline, ...ratios };
  });
}

/** Each subject does what its name says, or its numbers mean something else. */
async function check({ url, subject }: ServerProcess): Promise<void> {
  const key = newKeys()();
  const first = await sendOne(url, key);
  const again = await sendOne(url, key);
  const isAnsweredAgain = first === again;
  const isProtected =
    repeatedKeys(subject) !== undefined || subject === 'first' || subject === 'hand-written';
  if (isAnsweredAgain !== isProtected)
    throw new Error(`${subject}: a retry ${isAnsweredAgain ? 'was' : 'was not'} replayed.`);
}

async function measure(
  server: ServerProcess,
  connections: number,
  requests: number,
): Promise<Measured> {
  const key = await keysFor(server, connections);
  const before = await server.cpuMicros();
  const load = await fire(server.url, { connections, requests, key });
  const spent = (await server.cpuMicros()) - before;
  return { ...load, cpuMicros: spent / load.requests };
}

/** The first calls of what a slice repeats are no part of it. */
async function keysFor(
  { url, subject }: ServerProcess,
  connections: number,
): Promise<() => string> {
  const keys = newKeys();
  const count = repeatedKeys(subject);
  if (count === undefined) return keys;
  const kept = Array.from({ length: count }, keys);
  let sent = 0;
  const key = (): string => kept[sent++ % count]!;
  await fire(url, { connections: Math.min(connections, count), requests: count, key });
  return key;
}

type Figures = Omit<HttpRow, 'platform' | 'store' | 'subject' | 'baseline'>;

function row(results: readonly Measured[], baseline: readonly Measured[]): Figures {
  const over = (value: (own: Measured, base: Measured) => number): Summary =>
    summarize(results.map((own, round) => value(own, baseline[round] ?? own)));
  return {
    perSecond: over((own) => own.perSecond),
    p50Micros: over((own) => own.p50Micros),
    p99Micros: over((own) => own.p99Micros),
    cpuMicros: over((own) => own.cpuMicros),
    rateRatio: over((own, base) => own.perSecond / base.perSecond),
    cpuRatio: over((own, base) => base.cpuMicros / own.cpuMicros),
    addedMicros: over((own, base) => 1e6 / own.perSecond - 1e6 / base.perSecond),
  };
}
