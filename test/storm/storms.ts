import { type ChildProgram, nextMessage } from '../support/child-program.js';
import { SEED } from '../support/seed.js';

export type StormStore = 'memory' | 'Redis' | 'PostgreSQL';

/** What a process that makes storms is told. */
export interface StormSettings {
  readonly store: StormStore;
  /** Of the server; empty without one. */
  readonly url: string;
  readonly firstSeed: number;
  readonly runs: number;
  /** To each application, beside retries. */
  readonly calls: number;
  readonly endsWithinMs: number;
  /** The first seed only, again and again. */
  readonly isAlone: boolean;
  /** Looks for a simpler application for each seed that fails. */
  readonly shrinks: boolean;
  readonly without: readonly string[];
  /** Records are lost now and then, which storms have to notice. */
  readonly isForgetful: boolean;
}

/** What it says in the end. */
export interface StormReport {
  runs: number;
  calls: number;
  effects: number;
  refusedAtBoot: number;
  violations: string[];
}

/** Applications that are made at a time; with transactions each has a schema of its own. */
export const LANES = 8;

/**
 * `STORM_SEED=17` makes that storm alone, as often as it takes to see whether it fails.
 * `STORM_SHRINK=1` looks for simpler ones that fail as well; `STORM_WITHOUT=retry,bound` leaves these
 * out.
 */
const { STORM_SEED, STORM_SHRINK, STORM_WITHOUT } = process.env;
export const FIRST_SEED = Number(STORM_SEED ?? SEED);
const TIMES = 5;

export async function makeStorms(
  program: ChildProgram,
  given: Pick<StormSettings, 'store' | 'url' | 'runs' | 'endsWithinMs'> & Partial<StormSettings>,
): Promise<StormReport> {
  const settings: StormSettings = {
    firstSeed: FIRST_SEED,
    shrinks: STORM_SHRINK !== undefined,
    without: STORM_WITHOUT?.split(',') ?? [],
    isForgetful: false,
    isAlone: false,
    calls: 10,
    ...given,
    ...(STORM_SEED !== undefined && { firstSeed: FIRST_SEED, runs: TIMES, isAlone: true }),
  };
  const env = { STORM_SETTINGS: JSON.stringify(settings) };
  const child = await program.start(env);
  const died = new Promise<never>((_resolve, reject) => {
    child.process.once('exit', (code) =>
      reject(new Error(`The process ended with ${String(code)}.\n${child.errors()}`)),
    );
  });
  const report = await Promise.race([nextMessage<StormReport>(child.process), died]);
  return report;
}
