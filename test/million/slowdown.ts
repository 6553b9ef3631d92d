/** How many times slower something may be among a million records. A scan would be a thousand. */
export const MOST_SLOWDOWN = 10;

const ROUNDS = 41;
const CALLS_PER_ROUND = 15;

interface Pair<Subject> {
  readonly small: Subject;
  readonly large: Subject;
}

/** Milliseconds per call, as the median of many short runs that are taken in turn. */
export async function compare<Subject>(
  label: string,
  { small, large }: Pair<Subject>,
  call: (subject: Subject) => Promise<unknown>,
): Promise<number> {
  const samples: { small: number; large: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    samples.push({ small: await msPerCall(small, call), large: await msPerCall(large, call) });
  }
  const fast = median(samples.map((sample) => sample.small));
  const slow = median(samples.map((sample) => sample.large));
  console.info(
    `${label}: ${fast.toFixed(3)} ms with 1 000 records, ${slow.toFixed(3)} ms with 1 000 000`,
  );
  return slow / fast;
}

async function msPerCall<Subject>(
  subject: Subject,
  call: (subject: Subject) => Promise<unknown>,
): Promise<number> {
  const begin = performance.now();
  for (let count = 0; count < CALLS_PER_ROUND; count += 1) await call(subject);
  return (performance.now() - begin) / CALLS_PER_ROUND;
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5);
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
