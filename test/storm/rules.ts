import type { Asked, Paid } from './business.js';
import type { Answer } from './clients.js';

/** Everything that clients and the business saw. */
export interface StormHistory {
  readonly answers: readonly Answer[];
  /** Runs of handlers that came to a good end. */
  readonly effects: readonly Paid[];
}

/** What must not be; empty when all is well. */
export function brokenRules(
  { answers, effects }: StormHistory,
  sharesKeys: (place: string) => boolean,
): string[] {
  const nameOf = ({ place, caller, key }: Asked): string =>
    sharesKeys(place) ? `${place} ${key}` : `${place} ${caller} ${key}`;
  const runs = new Map<string, Paid[]>();
  for (const effect of effects) {
    const name = nameOf(effect);
    runs.set(name, [...(runs.get(name) ?? []), effect]);
  }
  return [
    ...[...runs].flatMap(([name, { length }]) =>
      length > 1 ? [`two effects: ${name} has ${length}`] : [],
    ),
    ...answers.flatMap((answer) => brokenBy(answer, runs.get(nameOf(answer.asked)) ?? [])),
  ];
}

function brokenBy({ asked, status, paid, isHanging }: Answer, runs: readonly Paid[]): string[] {
  const name = textOf(asked);
  if (isHanging) return [`no answer: ${name}`];
  if (status < 200 || status > 299) return [];
  if (paid?.run === undefined) return [`success without content: ${name}, ${status}`];
  const told = textOf(paid as Paid);
  if (told !== name) return [`reply of another call: ${name} got ${told}`];
  return runs.some(({ run }) => run === paid.run) ? [] : [`reply without effect: ${name}`];
}

function textOf({ place, caller, key, amount }: Asked): string {
  return `${place} ${caller} ${key} ${amount}`;
}
