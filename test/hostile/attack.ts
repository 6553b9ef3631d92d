import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Child, ChildProgram } from '../support/child-program.js';
import { Random } from '../support/random.js';
import { type HostileRequest, someRequest } from './requests.js';

export type HostileStore = 'Redis' | 'PostgreSQL';

/** What a process that is attacked is told. */
export interface TargetSettings {
  readonly store: HostileStore;
  /** Of the server. */
  readonly url: string;
}

/** It has an application of each platform. */
export interface TargetReady {
  readonly ports: readonly number[];
}

/** What it says when it is asked. */
export interface TargetState {
  /** Handlers that run, claims that are open, connections of clients and of the database that are in use. */
  readonly busy: Readonly<Record<string, number>>;
  readonly unhandled: readonly string[];
  readonly runs: number;
}

export interface AttackOutcome {
  readonly requests: number;
  /** By their status; 0 where the connection ended without one. */
  readonly answers: Readonly<Record<string, number>>;
  readonly violations: readonly string[];
  readonly runs: number;
}

const AT_A_TIME = 48;
const PATIENCE_MS = 15_000;
/** What is left for the server to read while a client that does not tell where it ends waits. */
const LINGERS_MS = 40;
const EXAMPLES = 5;
const SETTLES_WITHIN_MS = 10_000;

export interface Attack {
  readonly seed: number;
  readonly requests: number;
  readonly endsWithinMs: number;
}

/** Sends that many requests to each of the applications in turn, and looks at what is left of them. */
export async function attack(
  program: ChildProgram,
  settings: TargetSettings,
  { seed, requests, endsWithinMs }: Attack,
): Promise<AttackOutcome> {
  const target = await program.start<TargetReady>({ TARGET_SETTINGS: JSON.stringify(settings) });
  const { ports } = target.ready;
  const violations: string[] = [];
  const kinds = new Map<string, number>();
  // A few examples of each kind are enough to look for its reason.
  const note = (what: string, example: string): void => {
    const seen = (kinds.get(what) ?? 0) + 1;
    kinds.set(what, seen);
    if (seen <= EXAMPLES) violations.push(`${what}: ${example}`);
  };
  const answers: Record<string, number> = {};
  const endsAt = performance.now() + endsWithinMs;
  let sent = 0;
  let end: string | undefined;
  target.process.once(
    'exit',
    (code) => (end = `the process died with ${code}: ${target.errors()}`),
  );
  const attacker = async (): Promise<void> => {
    while (sent < requests && end === undefined && performance.now() < endsAt) {
      const number = sent;
      sent += 1;
      const random = new Random(seed + number * 7_919);
      random.next();
      const request = someRequest(random);
      const answer = await send(ports[number % ports.length]!, request);
      for (const status of answer.statuses) answers[status] = (answers[status] ?? 0) + 1;
      const what = wrongWith(request, answer);
      if (what !== undefined) note(what, `request ${number} of seed ${seed}: ${shown(request)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, attacker));
  if (end !== undefined)
    return { requests: sent, answers, violations: [...violations, end], runs: 0 };
  const state = await settled(target);
  for (const [what, count] of Object.entries(state.busy))
    if (count > 0) violations.push(`left: ${count} ${what}`);
  violations.push(...state.unhandled.map((error) => `unhandled: ${error}`));
  return { requests: sent, answers, violations, runs: state.runs };
}

interface Received {
  readonly statuses: readonly number[];
  readonly isHanging: boolean;
}

function wrongWith(request: HostileRequest, { statuses, isHanging }: Received): string | undefined {
  if (isHanging) return 'no answer';
  if (statuses.includes(500) && !request.mayFail) return 'a 500 that no handler made';
  return undefined;
}

function shown({ bytes }: HostileRequest): string {
  return JSON.stringify(bytes.toString('latin1').slice(0, 300));
}

/** The bytes on a connection of their own, and what came back until it ended. */
async function send(port: number, request: HostileRequest): Promise<Received> {
  const { bytes, leavesAfter, staysMs, isWhole } = request;
  const socket = connect(port, '127.0.0.1');
  let text = '';
  let isHanging = false;
  socket.setEncoding('latin1');
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  socket.on('data', (more: string) => {
    // One answer is enough for a connection that would stay open.
    if (text === '' && isWhole) setTimeout(() => socket.destroy(), 20);
    text += more;
  });
  socket.write(bytes.subarray(0, leavesAfter));
  if (leavesAfter !== undefined) {
    await sleep(staysMs);
    socket.resetAndDestroy();
  } else if (!isWhole) {
    await Promise.race([closed, sleep(LINGERS_MS)]);
    socket.destroy();
  }
  const patience = setTimeout(() => {
    isHanging = true;
    socket.destroy();
  }, PATIENCE_MS);
  await closed;
  clearTimeout(patience);
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
  return { statuses: statuses.length > 0 ? statuses : [0], isHanging };
}

/** Asks until nothing is left to do, or time is over. */
async function settled({ process: child }: Child<TargetReady>): Promise<TargetState> {
  const endsAt = performance.now() + SETTLES_WITHIN_MS;
  for (;;) {
    const told = new Promise<TargetState>((resolve) => child.once('message', resolve));
    child.send('state');
    const state = await told;
    const isIdle = Object.values(state.busy).every((count) => count === 0);
    if (isIdle || performance.now() > endsAt) return state;
    await sleep(50);
  }
}
