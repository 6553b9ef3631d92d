import type { Call, Effect, History, Paid, Payment } from './history.js';

export interface Promises {
  /** Claim, effect and record are one commit. */
  readonly isTransaction: boolean;
  readonly leaseMs: number;
}

/** Clocks of servers are cut off to whole milliseconds, some of them more than once. */
const ROUNDING_US = 5_000;

/** Everything about one key of one principal. */
interface Operation {
  readonly name: string;
  readonly calls: readonly Call[];
  /** In the order of their claims. */
  readonly effects: readonly Effect[];
  /** Those that were on record when they were sent, and so stay what the operation is answered with. */
  readonly recorded: readonly Paid[];
  /** When a client had the first of them; infinite while there is none. */
  readonly finishedByUs: number;
  readonly sent: readonly Paid[];
}

/** One thing that must be true of every operation, and how it is not. */
type Rule = (operation: Operation, promises: Promises) => readonly string[];

/** What a history shows that must not be; empty when all is well. */
export function violationsOf(history: History, promises: Promises): string[] {
  return [
    ...history.calls.flatMap(foreignReply),
    ...operationsOf(history).flatMap((operation) =>
      RULES.flatMap((rule) => rule(operation, promises)).map(
        (what) => `${operation.name}: ${what}`,
      ),
    ),
  ];
}

function foreignReply({ paid, ...call }: Call): string[] {
  const told = ({ principal, key, amount }: Payment): string => `${principal} ${key} ${amount}`;
  if (paid === undefined || told(paid) === told(call)) return [];
  return [`${told(call)}: got the reply of ${told(paid)}`];
}

const endsSometime: Rule = ({ calls, sent }) =>
  calls.length === 0 || sent.length > 0
    ? []
    : [`was never answered with success, and with ${calls.at(-1)?.status} in the end`];

const hasOneReply: Rule = ({ recorded }) => {
  const runs = new Set(recorded.map(nameOf));
  return runs.size <= 1 ? [] : [`has several replies: ${[...runs].join(', ')}`];
};

const hasEffectBehindReply: Rule = ({ sent, effects }) => {
  const done = new Set(effects.map(nameOf));
  const missing = new Set(sent.map(nameOf).filter((run) => !done.has(run)));
  return [...missing].map((run) => `the reply of ${run} has no effect behind it`);
};

const runsOncePerClaim: Rule = ({ effects }) =>
  consecutive(effects)
    .filter(([before, after]) => before.fencingToken === after.fencingToken)
    .map(([before, after]) => `${nameOf(before)} and ${nameOf(after)} ran on one claim`);

const hasOneOwnerAtATime: Rule = ({ effects }, { leaseMs }) =>
  consecutive(effects)
    .filter(([before, after]) => {
      const apartUs = after.fencingToken - before.fencingToken;
      return apartUs > 0 && apartUs < leaseMs * 1_000 - ROUNDING_US;
    })
    .map(([before, after]) => `${nameOf(after)} was claimed in the lease of ${nameOf(before)}`);

/**
 * The claim of the reply does not tell when that was: an owner whose lease ran out may still record
 * what it did once the one that took over has failed, or has died.
 */
const staysFinished: Rule = ({ recorded, finishedByUs, effects }) =>
  effects
    .filter(({ fencingToken }) => fencingToken > finishedByUs + ROUNDING_US)
    .map((effect) => `${nameOf(effect)} was claimed after ${nameOf(recorded[0]!)} had finished`);

const hasOneEffect: Rule = ({ effects }, { isTransaction }) =>
  isTransaction && effects.length > 1 ? [`has ${effects.length} committed effects`] : [];

const RULES: readonly Rule[] = [
  endsSometime,
  hasOneReply,
  hasEffectBehindReply,
  runsOncePerClaim,
  hasOneOwnerAtATime,
  staysFinished,
  hasOneEffect,
];

function operationsOf({ calls, effects }: History): Operation[] {
  const callsOf = byOperation(calls);
  const effectsOf = byOperation(effects);
  return [...new Set([...callsOf.keys(), ...effectsOf.keys()])].map((name) => {
    const own = callsOf.get(name) ?? [];
    const recorded = own.filter(({ paid, isUnrecorded }) => paid && isUnrecorded !== true);
    return {
      name,
      calls: own,
      effects: [...(effectsOf.get(name) ?? [])].sort((a, b) => a.fencingToken - b.fencingToken),
      sent: repliesOf(own),
      recorded: repliesOf(recorded),
      finishedByUs: Math.min(...recorded.map(({ answeredAtUs }) => answeredAtUs)),
    };
  });
}

function repliesOf(calls: readonly Call[]): Paid[] {
  return calls.flatMap(({ paid }) => paid ?? []);
}

function byOperation<T extends Omit<Payment, 'amount'>>(events: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const event of events) {
    const name = `${event.principal} ${event.key}`;
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [event]);
    else group.push(event);
  }
  return groups;
}

function nameOf({ attempt, fencingToken, runId }: Effect | Paid): string {
  return `attempt ${attempt} (${fencingToken}, ${runId})`;
}

function consecutive<T>(values: readonly T[]): (readonly [T, T])[] {
  return values.slice(1).map((after, index) => [values[index] as T, after]);
}
