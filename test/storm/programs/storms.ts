import 'reflect-metadata';
import { Redis } from 'ioredis';
import { MemoryStore } from 'nestjs-idempotency';
import type { AcquireRequest, AcquireResult } from 'nestjs-idempotency/contracts';
import { RedisStore } from 'nestjs-idempotency/redis';
import { TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import { describePlan, planOf, type StormPlan } from '../plan.js';
import { isWhole, type Lane, storm } from '../run.js';
import { shrink } from '../shrink.js';
import { LANES, type StormReport, type StormSettings } from '../storms.js';

/** Runs storms in a process of its own, which must live to the end. */
const settings = JSON.parse(process.env.STORM_SETTINGS!) as StormSettings;
const { store, url, firstSeed, runs, calls: asked, endsWithinMs, without } = settings;

const report: StormReport = {
  runs: 0,
  calls: 0,
  effects: 0,
  refusedAtBoot: 0,
  violations: [],
};
const LIMITS = { hasTransactions: store === 'PostgreSQL', calls: asked, without };
const running = new Set<number>();
/** Longer than one storm takes that goes wrong. */
const GRACE_MS = 45_000;
const unheard = (error: unknown): void => {
  const stack = error instanceof Error ? error.stack : String(error);
  report.violations.push(`unhandled, in one of ${[...running].join(', ')}: ${stack}`);
};
process.on('unhandledRejection', unheard);
process.on('uncaughtException', unheard);

/** Lets a completed operation run again now and then. */
class ForgetfulStore extends MemoryStore {
  override acquire(request: AcquireRequest): AcquireResult {
    const answer = super.acquire(request);
    if (answer.outcome !== 'completed' || Math.random() < 0.7) return answer;
    this.forget(request.id);
    return super.acquire(request);
  }
}

function memoryStore(): MemoryStore {
  return settings.isForgetful ? new ForgetfulStore() : new MemoryStore();
}

async function laneOf(index: number): Promise<Lane> {
  const name = `${store}-${index}`;
  switch (store) {
    case 'memory':
      return { name, databases: undefined, emptyStore: async () => memoryStore() };
    case 'Redis': {
      const client = new Redis(url);
      let stores = 0;
      const emptyStore = async (): Promise<RedisStore> => {
        stores += 1;
        return new RedisStore({ client, prefix: `storm:${firstSeed}:${index}:${stores}:` });
      };
      return { name, databases: undefined, emptyStore };
    }
    case 'PostgreSQL': {
      const open = (max: number): Promise<DataSource> => {
        const extra = { max, options: `-c search_path=lane${index}` };
        return new DataSource({ type: 'postgres', url, extra }).initialize();
      };
      const databases = { own: await open(3), admin: await open(1) };
      const emptyStore = async (): Promise<TypeOrmStore> => {
        if (!isWhole(databases.own)) databases.own = await open(3);
        await databases.admin.query('TRUNCATE idempotency_records, storm_effects');
        return new TypeOrmStore({ dataSource: databases.own, purge: false });
      };
      return { name, databases, emptyStore };
    }
  }
}

async function showFault(plan: StormPlan, violations: readonly string[], lane: Lane) {
  const kindOf = (violation: string): string => violation.split(':')[0]!;
  const kinds = new Set(violations.map(kindOf));
  for (const kind of kinds) {
    const example = violations.find((violation) => kindOf(violation) === kind)!;
    report.violations.push(`${example} [${describePlan(plan)}]`);
    if (!settings.shrinks) continue;
    const isBroken = async (simpler: StormPlan): Promise<boolean> => {
      for (let tries = 0; tries < 3; tries += 1) {
        const outcome = await storm(simpler, lane);
        if (outcome.violations.some((violation) => kindOf(violation) === kind)) return true;
      }
      return false;
    };
    report.violations.push(`  simpler: ${kind} [${describePlan(await shrink(plan, isBroken))}]`);
  }
}

let next = firstSeed;
const endsAt = performance.now() + endsWithinMs;

async function work(index: number): Promise<void> {
  const lane = await laneOf(index);
  while (next < firstSeed + runs && performance.now() < endsAt) {
    const seed = next;
    next += 1;
    running.add(seed);
    const plan = planOf(settings.isAlone ? firstSeed : seed, LIMITS);
    const { violations, calls, effects, isRefusedAtBoot } = await storm(plan, lane);
    report.runs += 1;
    report.calls += calls;
    report.effects += effects;
    if (isRefusedAtBoot) report.refusedAtBoot += 1;
    await showFault(plan, violations, lane);
    running.delete(seed);
  }
}

/** Says which storms are still there long after the time is over. */
async function watch(): Promise<void> {
  await sleep(endsWithinMs + GRACE_MS, undefined, { ref: false });
  report.violations.push(`no end: seeds ${[...running].join(', ')}`);
}

process.send?.({ isReady: true });
const lanes = Array.from({ length: Math.min(LANES, runs) }, (_, index) => work(index));
await Promise.race([Promise.all(lanes), watch()]);
process.send?.(report, () => process.exit(0));
