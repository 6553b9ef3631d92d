import { isIdempotencyConfigurationError } from 'nestjs-idempotency';
import type { IdempotencyStore } from 'nestjs-idempotency/contracts';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DataSource } from 'typeorm';
import { Random } from '../support/random.js';
import { build, type StormApp } from './application.js';
import { Business, type Paid } from './business.js';
import { act, type Answer, ask } from './clients.js';
import { within } from './patience.js';
import { type CallPlan, sharesKeys, type StormPlan } from './plan.js';
import { brokenRules } from './rules.js';

/** What the runs of one lane have in common; lanes share nothing. */
export interface Lane {
  readonly name: string;
  /** A store with no records of other runs in it. */
  emptyStore(): Promise<IdempotencyStore>;
  /** Where there are transactions. */
  readonly databases: Databases | undefined;
}

export interface Databases {
  /** What the application has; a new one after connections of it were lost. */
  readonly own: DataSource;
  /** What the test looks with. */
  readonly admin: DataSource;
}

export interface StormOutcome {
  readonly violations: readonly string[];
  readonly calls: number;
  readonly effects: number;
  readonly isRefusedAtBoot: boolean;
}

const LONGEST_WORK_MS = 12;
const SETTLES_WITHIN_MS = 3_000;

/** Builds the application of a plan, lets clients loose on it and looks at what is left. */
export async function storm(plan: StormPlan, lane: Lane): Promise<StormOutcome> {
  const random = new Random(plan.seed ^ 0x5f3759df);
  const store = await lane.emptyStore();
  const { databases } = lane;
  const business = new Business(
    random.fork(),
    LONGEST_WORK_MS,
    plan.hasAwkwardReplies,
    plan.transaction ? databases?.own : undefined,
  );
  const socketPath = join(tmpdir(), `storm-${process.pid}-${lane.name}.sock`);
  let app: StormApp;
  try {
    app = await build(plan, { store, business, random, socketPath });
  } catch (error) {
    const isRefusedAtBoot = isIdempotencyConfigurationError(error);
    const violations = isRefusedAtBoot ? [] : [`does not boot: ${String(error)}`];
    return { violations, calls: 0, effects: 0, isRefusedAtBoot };
  }
  const open = new Set<string>();
  app.service.events$.subscribe(({ type, ...event }) => {
    if (type === 'claimed') open.add(event.id!);
    if (type === 'stored' || type === 'released' || type === 'held') open.delete(event.id!);
  });
  const violations: string[] = [];
  const answers: Answer[] = [];
  const isIdle = (): boolean => business.running === 0 && open.size === 0;
  answers.push(...(await Promise.all(plan.calls.map((call) => act(app, plan, call)))).flat());
  if (!(await within(SETTLES_WITHIN_MS, isIdle))) violations.push(await leftOver(open, store));
  answers.push(
    ...(await Promise.all(operationsOf(plan.calls).map((call) => ask(app, plan, call)))),
  );
  if (!(await within(SETTLES_WITHIN_MS, isIdle))) violations.push(await leftOver(open, store));
  let isClosed = false;
  void app
    .close()
    .catch((error: unknown) => violations.push(`closing fails: ${String(error)}`))
    .then(() => (isClosed = true));
  if (!(await within(SETTLES_WITHIN_MS, () => isClosed)))
    violations.push('the application does not close');
  if (databases !== undefined && !(await within(SETTLES_WITHIN_MS, () => isWhole(databases.own))))
    violations.push('connections of the pool are lost');
  const effects = plan.transaction ? await committed(databases!.admin) : business.effects;
  violations.push(...brokenRules({ answers, effects }, (place) => sharesKeys(plan, place)));
  return { violations, calls: answers.length, effects: effects.length, isRefusedAtBoot: false };
}

/** Each operation once more, in peace; with both contents where both were asked for. */
function operationsOf(calls: readonly CallPlan[]): CallPlan[] {
  const seen = new Map<string, CallPlan>();
  for (const call of calls) {
    const { handler, variant, caller, key, amount } = call;
    seen.set(JSON.stringify([handler, variant, caller, key, amount]), {
      ...call,
      leavesAfterMs: undefined,
    });
  }
  return [...seen.values()];
}

/** Events tell of claims; the store knows whether one is really open, if it still can be asked. */
async function leftOver(open: Set<string>, store: IdempotencyStore): Promise<string> {
  const stateOf = async (id: string): Promise<string> =>
    (await store.find(id))?.state ?? 'without a record';
  const states = Promise.all([...open].map(stateOf));
  open.clear();
  const known = await Promise.race([states, sleep(1_000, ['the store does not answer'])]);
  return `left in flight: ${known.join(', ') || 'a handler'}`;
}

interface Pool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
}

/** No connection is in use, and nobody waits for one. */
export function isWhole(dataSource: DataSource): boolean {
  const { master } = dataSource.driver as unknown as { master: Pool };
  return master.waitingCount === 0 && master.totalCount === master.idleCount;
}

async function committed(dataSource: DataSource): Promise<Paid[]> {
  const rows = await dataSource.query<Paid[]>(
    'SELECT place, caller, key, amount, run FROM storm_effects',
  );
  await dataSource.query('DELETE FROM storm_effects');
  return rows;
}
