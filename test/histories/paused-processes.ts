import { setTimeout as sleep } from 'node:timers/promises';
import { openStore, type ServerName } from '../processes/support/open-store.js';
import { type Child, ChildProgram, end } from '../support/child-program.js';
import { Random } from '../support/random.js';

/** What a process is told when it starts. */
export interface WorkerSettings {
  readonly server: ServerName;
  readonly port: number;
  readonly leaseMs: number;
}

export interface ToWorker {
  readonly firstKey?: number;
  readonly isOver?: boolean;
}

/** What every caller of an operation is told: who did it, and who did its steps. */
export interface Worked {
  readonly run: string;
  readonly charged: string;
  readonly shipped: string;
}

export type FromWorker =
  | { readonly type: 'ready' | 'over' }
  | { readonly type: 'value'; readonly key: string; readonly value: Worked }
  | { readonly type: 'error'; readonly code: string }
  | { readonly type: 'unhandled'; readonly error: string };

export interface PausedOutcome {
  /** What callers of each key were told, without repetitions. */
  readonly values: ReadonlyMap<string, readonly Worked[]>;
  readonly violations: readonly string[];
  readonly pauses: number;
  readonly kills: number;
  readonly errors: ReadonlySet<string>;
}

/** Shorter than most pauses, so that others take over. */
const LEASE_MS = 250;
const LONGEST_PAUSE_MS = 1_000;

export interface Disturbances {
  readonly seed: number;
  readonly processes: number;
  /** How often a process is paused or killed. */
  readonly times: number;
}

/** Processes that stand still for longer than their leases, or are killed, while they work on the same keys. */
export async function disturb(
  settings: Omit<WorkerSettings, 'leaseMs'>,
  { seed, processes, times }: Disturbances,
): Promise<PausedOutcome> {
  const random = new Random(seed);
  const program = await ChildProgram.compile('test/histories/programs/worker.ts');
  const values = new Map<string, Worked[]>();
  const errors = new Set<string>();
  const violations: string[] = [];
  const workers: Child<FromWorker>[] = [];
  const starting: Promise<void>[] = [];
  let pauses = 0;
  let kills = 0;
  const hear = (message: FromWorker): void => {
    if (message.type === 'unhandled') violations.push(`unhandled: ${message.error}`);
    if (message.type === 'error') errors.add(message.code);
    if (message.type !== 'value') return;
    const { key, value } = message;
    const known = values.get(key) ?? [];
    if (!known.some((other) => JSON.stringify(other) === JSON.stringify(value)))
      values.set(key, [...known, value]);
  };
  const start = async (place: number): Promise<void> => {
    const env = { WORKER_SETTINGS: JSON.stringify({ ...settings, leaseMs: LEASE_MS }) };
    const worker = await program.start<FromWorker>(env);
    worker.process.on('message', hear);
    workers[place] = worker;
  };
  const tell = ({ process: child }: Child<FromWorker>, message: ToWorker): void => {
    if (child.connected) child.send(message, () => undefined);
  };
  try {
    await Promise.all(Array.from({ length: processes }, (_, place) => start(place)));
    for (let firstKey = 1; pauses + kills < times; firstKey += 1) {
      await sleep(random.between(100, 250));
      for (const worker of workers) tell(worker, { firstKey });
      const place = random.between(0, processes);
      const { process: child } = workers[place]!;
      const drawn = random.next();
      if (drawn < 0.75) {
        pauses += 1;
        child.kill('SIGSTOP');
        setTimeout(() => child.kill('SIGCONT'), random.between(100, LONGEST_PAUSE_MS));
      } else if (drawn < 0.85) {
        kills += 1;
        await end(child);
        starting.push(start(place));
      }
    }
    await Promise.all(starting);
    await sleep(LONGEST_PAUSE_MS);
    await Promise.all(
      workers.map((worker) => hasEnded(worker, () => tell(worker, { isOver: true }))),
    );
    violations.push(...(await broken(values, settings)));
  } finally {
    await program.stop();
  }
  return { values, violations, pauses, kills, errors };
}

async function hasEnded({ process: child }: Child<FromWorker>, tell: () => void): Promise<void> {
  const over = new Promise<void>((resolve) => {
    child.on('message', ({ type }: FromWorker) => type === 'over' && resolve());
  });
  tell();
  await Promise.race([over, sleep(10_000)]);
}

async function broken(
  values: PausedOutcome['values'],
  { server, port }: Omit<WorkerSettings, 'leaseMs'>,
): Promise<string[]> {
  const { effects, close } = await openStore(server, port);
  const violations: string[] = [];
  for (const [key, [value, ...others]] of values) {
    if (others.length > 0)
      violations.push(`${key}: different replies ${JSON.stringify([value, ...others])}`);
    const { charged, shipped } = value!;
    for (const [what, run] of Object.entries({ charge: charged, ship: shipped })) {
      const times = await effects(`${what} ${key} ${run}`);
      if (times !== 1) violations.push(`${key}: the ${what} of its reply was done ${times} times`);
    }
  }
  await close();
  return violations;
}
