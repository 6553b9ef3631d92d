import { setTimeout as sleep } from 'node:timers/promises';
import { ChildProgram } from '../support/child-program.js';
import { tally } from '../support/engine.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import type { ServerName } from '../processes/support/open-store.js';
import { pay, payUntilDone, someWork, Workload } from './clients.js';
import type { Call, History } from './history.js';
import { openLedger } from './ledger.js';
import { Slot } from './processes.js';
import { Random } from '../support/random.js';
import type { Settings } from './shop.js';

const CLIENTS = 32;
/** On a machine that is slow it takes longer than it is told to. */
const LEAST_CALLS = 150;
/** Longer than a call may wait for the store: what was claimed late is given back within it. */
export const LEASE_MS = 1_500;
const STORE_TIMEOUT_MS = 750;

export interface Soak {
  readonly server: ServerName;
  readonly isTransaction: boolean;
  readonly processes: number;
  readonly seed: number;
  readonly ms: number;
}

export interface Outcome {
  readonly history: History;
  /** How often each fault was made, and each answer given. */
  readonly faults: Readonly<Record<string, number>>;
  readonly answers: Readonly<Record<string, number>>;
  /** What processes wrote that ended by themselves. */
  readonly crashes: readonly string[];
}

/** Clients on some processes over one server, while processes and server are killed and paused. */
export async function soak(on: PrivateServer, given: Soak): Promise<Outcome> {
  const { server, isTransaction, seed, ms } = given;
  const random = new Random(seed);
  const program = await ChildProgram.compile('test/soak/programs/shop.ts');
  const settings: Settings = {
    server,
    isTransaction,
    port: on.port,
    leaseMs: LEASE_MS,
    storeTimeoutMs: STORE_TIMEOUT_MS,
  };
  const slots = Array.from({ length: given.processes }, () => new Slot(program, settings));
  const calls: Call[] = [];
  const faults: string[] = [];
  const crashes: string[] = [];
  let endsAt = 0;
  const untilEnd = async (turn: () => Promise<void>): Promise<void> => {
    while (performance.now() < endsAt || calls.length < LEAST_CALLS) await turn();
  };
  try {
    await Promise.all(slots.map((slot) => slot.start()));
    endsAt = performance.now() + ms;
    const workload = new Workload(random.fork());
    const client = (): Promise<void> => {
      const own = random.fork();
      return untilEnd(async () => {
        const urls = urlsOf(slots);
        if (urls.length > 0) {
          calls.push(await pay(own.oneOf(urls), workload.next(), someWork(own)));
        }
        await sleep(own.between(1, 20));
      });
    };
    const processes = random.fork();
    const killProcess = async (slot: Slot): Promise<void> => {
      faults.push('process killed');
      if (slot.crash !== undefined) crashes.push(slot.crash);
      await slot.kill();
      await slot.start();
    };
    const disturbProcesses = (slot: Slot) => async (): Promise<void> => {
      await sleep(processes.between(300, 4_000));
      if (processes.isBelow(0.5)) return killProcess(slot);
      faults.push('process paused');
      await slot.pause(processes.between(50, 2 * LEASE_MS));
    };
    const servers = random.fork();
    const disturbServer = async (): Promise<void> => {
      await sleep(servers.between(2_000, 8_000));
      if (servers.isBelow(0.6)) {
        faults.push('server paused');
        on.pause();
        await sleep(servers.between(50, 2 * LEASE_MS));
        return on.resume();
      }
      faults.push('server killed');
      await on.restart();
    };
    await Promise.all([
      ...Array.from({ length: CLIENTS }, client),
      // However short it is, one of them is killed.
      ...slots.map(async (slot, index) => {
        if (index === 0) await sleep(ms / 4).then(() => killProcess(slot));
        await untilEnd(disturbProcesses(slot));
      }),
      untilEnd(disturbServer),
    ]);
    for (const { crash } of slots) if (crash !== undefined) crashes.push(crash);
    await settle(urlsOf(slots), calls);
    const ledger = await openLedger(server, on.port);
    const effects = await ledger.all();
    await ledger.close();
    return {
      history: { calls, effects },
      faults: tally(faults),
      answers: tally(
        calls.map(({ status, isReplayed }) => `${status}${isReplayed ? ' replayed' : ''}`),
      ),
      crashes,
    };
  } finally {
    slots.forEach((slot) => slot.close());
    await program.stop();
  }
}

function urlsOf(slots: readonly Slot[]): string[] {
  return slots.flatMap(({ url }) => url ?? []);
}

/** Every operation that was begun comes to its end. */
async function settle(urls: readonly string[], calls: Call[]): Promise<void> {
  const begun = new Map(
    calls.map(({ principal, key }) => [`${principal} ${key}`, { principal, key }]),
  );
  const left = [...begun.values()];
  const worker = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop())
      await payUntilDone(urls, next, calls);
  };
  await Promise.all(Array.from({ length: CLIENTS }, worker));
}
