import type { Effects } from '../effects/effects.js';
import { Visitor, type Reply } from './visitor.js';

/** Something that happens to real systems, and what must come of it. */
export interface Scenario {
  /** Its row in the list of situations that this library makes safe. */
  readonly id: string;
  readonly title: string;
  readonly route: keyof Effects;
  /** How many times the handler has to run, whatever is sent. */
  readonly runs: number;
  /** Where every run leaves one row; absent when it leaves none. */
  readonly table?: string;
  /** Scenarios with the same one take turns; the table when absent, or else the route. */
  readonly lane?: string;
  /**
   * Lets it happen.
   *
   * @param ran how many times the handler had run when it began
   * @returns the replies that must be the same, operation by operation
   * @throws Error when an answer is not the right one
   */
  play(visitor: Visitor, ran: number): Promise<readonly (readonly Reply[])[]>;
}

/** What came of it. */
export interface Finding {
  readonly scenario: Scenario;
  readonly sent: number;
  /** By `GET /effects`. */
  readonly ran: number;
  /** By `GET /ledger`; absent when the scenario names no table. */
  readonly rows?: number;
  /** Absent when there was nothing to compare. */
  readonly identical?: boolean;
  /** Why the verdict is not good; empty when it is. */
  readonly faults: readonly string[];
}

/** Plays the scenarios: those that would disturb each other in turn, all others side by side. */
export async function playAll(scenarios: readonly Scenario[], url: string): Promise<Finding[]> {
  const lanes = new Map<string, Promise<unknown>>();
  const findings = scenarios.map((scenario) => {
    const lane = scenario.lane ?? scenario.table ?? scenario.route;
    const turn = (lanes.get(lane) ?? Promise.resolve()).then(() => play(scenario, url));
    lanes.set(lane, turn);
    return turn;
  });
  return Promise.all(findings);
}

async function play(scenario: Scenario, url: string): Promise<Finding> {
  const visitor = new Visitor(url);
  const before = await measure(scenario, visitor);
  const faults: string[] = [];
  let groups: readonly (readonly Reply[])[] = [];
  try {
    groups = await scenario.play(visitor, before.runs);
  } catch (error) {
    faults.push(error instanceof Error ? error.message : String(error));
  }
  const after = await measure(scenario, visitor);

  const ran = after.runs - before.runs;
  if (ran !== scenario.runs) faults.push(`ran ${ran} times instead of ${scenario.runs}`);
  const rows = after.rows - before.rows;
  if (scenario.table !== undefined && rows !== scenario.runs)
    faults.push(`left ${rows} rows in ${scenario.table} instead of ${scenario.runs}`);
  const identical = groups.every(areIdentical);
  if (!identical) faults.push('replies differ');

  return {
    scenario,
    sent: visitor.sent,
    ran,
    rows: scenario.table === undefined ? undefined : rows,
    identical: groups.length === 0 ? undefined : identical,
    faults,
  };
}

async function measure(
  { route, table }: Scenario,
  visitor: Visitor,
): Promise<{ runs: number; rows: number }> {
  const [effects, ledger] = await Promise.all([visitor.effects(), visitor.ledger()]);
  return { runs: effects[route], rows: table === undefined ? 0 : (ledger[table] ?? 0) };
}

/** The same status and the same bytes. */
function areIdentical(replies: readonly Reply[]): boolean {
  const [first, ...others] = replies;
  return others.every(({ status, body }) => status === first?.status && body.equals(first.body));
}
