import { violationsOf } from './checker.js';
import type { Call, Effect, History, Run } from './history.js';

const LEASE_MS = 1_000;
const WHO = { principal: 'alice', key: 'order-1' };
const FIRST: Run = { attempt: 1, fencingToken: 10_000_000, runId: 'a' };
/** Claimed when the lease of the first had run out. */
const SECOND: Run = { attempt: 2, fencingToken: 11_000_000, runId: 'b' };
/** After both claims. */
const LATER_US = 12_000_000;
const THIRD: Run = { attempt: 3, fencingToken: 13_000_000, runId: 'c' };

const paidBy = (run: Run, more: Partial<Call> = {}): Call => ({
  ...WHO,
  amount: 5,
  status: 201,
  isReplayed: false,
  answeredAtUs: run.fencingToken + 100_000,
  paid: { ...WHO, amount: 5, ...run },
  ...more,
});
const effectOf = (run: Run): Effect => ({ ...WHO, ...run });
const refused: Call = { ...WHO, amount: 5, status: 409, isReplayed: false, answeredAtUs: 0 };

function check(given: Partial<History>, isTransaction = false): string[] {
  const history: History = { calls: [], effects: [], ...given };
  return violationsOf(history, { isTransaction, leaseMs: LEASE_MS });
}

describe('the checker of histories accepts', () => {
  it.each<[string, Partial<History>]>([
    ['nothing', {}],
    [
      'a reply, its repetition and a refusal',
      {
        calls: [refused, paidBy(FIRST), paidBy(FIRST, { isReplayed: true })],
        effects: [effectOf(FIRST)],
      },
    ],
    [
      'an owner that died after its effect, and another one after its lease',
      { calls: [paidBy(SECOND)], effects: [effectOf(SECOND), effectOf(FIRST)] },
    ],
    [
      'a reply that was sent unrecorded and repeated by its process, and another one later',
      {
        calls: [
          paidBy(FIRST, { isUnrecorded: true }),
          paidBy(FIRST, { isReplayed: true, isUnrecorded: true }),
          paidBy(SECOND),
          paidBy(SECOND, { isReplayed: true }),
        ],
        effects: [effectOf(FIRST), effectOf(SECOND)],
      },
    ],
    [
      'a reply that was sent unrecorded and is on record later',
      {
        calls: [paidBy(FIRST, { isUnrecorded: true }), paidBy(FIRST, { isReplayed: true })],
        effects: [effectOf(FIRST)],
      },
    ],
    [
      'a reply that could be recorded only after another owner had taken over and failed',
      {
        calls: [
          paidBy(FIRST, { isUnrecorded: true }),
          paidBy(FIRST, { isReplayed: true, answeredAtUs: LATER_US }),
        ],
        effects: [effectOf(FIRST), effectOf(SECOND)],
      },
    ],
    [
      'the reply of an owner that stood still while another one took over and died',
      {
        calls: [paidBy(FIRST, { answeredAtUs: LATER_US })],
        effects: [effectOf(FIRST), effectOf(SECOND)],
      },
    ],
    [
      'the same key from two principals',
      {
        calls: [
          paidBy(FIRST),
          paidBy(SECOND, {
            principal: 'bob',
            paid: { ...WHO, principal: 'bob', amount: 5, ...SECOND },
          }),
        ],
        effects: [effectOf(FIRST), { ...effectOf(SECOND), principal: 'bob' }],
      },
    ],
  ])('%s', (_name, history) => {
    expect(check(history)).toEqual([]);
  });
});

describe('the checker of histories catches', () => {
  const early = { ...SECOND, fencingToken: FIRST.fencingToken + 500_000 };
  const twice = { ...FIRST, runId: 'again' };

  it.each<[string, RegExp, Partial<History>]>([
    [
      'the reply of another principal',
      /alice order-1 5: got the reply of bob order-1 5/,
      {
        calls: [
          paidBy(FIRST),
          paidBy(FIRST, { paid: { ...WHO, principal: 'bob', amount: 5, ...FIRST } }),
        ],
        effects: [effectOf(FIRST)],
      },
    ],
    [
      'the reply to other content',
      /got the reply of alice order-1 6/,
      {
        calls: [paidBy(FIRST, { paid: { ...WHO, amount: 6, ...FIRST } })],
        effects: [effectOf(FIRST)],
      },
    ],
    ['a key that is stuck', /never answered with success/, { calls: [refused] }],
    [
      'two replies of one key',
      /several replies: attempt 1 .*, attempt 2/,
      { calls: [paidBy(FIRST), paidBy(SECOND)], effects: [effectOf(FIRST), effectOf(SECOND)] },
    ],
    [
      'another reply after one that was on record, though it had been sent unrecorded before',
      /several replies: attempt 1 .*, attempt 2/,
      {
        calls: [
          paidBy(FIRST, { isUnrecorded: true }),
          paidBy(FIRST, { isReplayed: true }),
          paidBy(SECOND),
        ],
        effects: [effectOf(FIRST), effectOf(SECOND)],
      },
    ],
    [
      'a run after a reply that was sent unrecorded, when it is on record',
      /attempt 2 .* was claimed after attempt 1 .* had finished/,
      {
        calls: [
          paidBy(FIRST, { isUnrecorded: true }),
          paidBy(FIRST, { isReplayed: true }),
          paidBy(SECOND, { isUnrecorded: true }),
        ],
        effects: [effectOf(FIRST), effectOf(SECOND)],
      },
    ],
    [
      'a reply without an effect',
      /the reply of attempt 1 .* has no effect/,
      { calls: [paidBy(FIRST)] },
    ],
    [
      'a reply that was sent unrecorded, without an effect',
      /the reply of attempt 1 .* has no effect/,
      { calls: [paidBy(FIRST, { isUnrecorded: true })] },
    ],
    [
      'two runs on one claim',
      /ran on one claim/,
      { calls: [paidBy(FIRST)], effects: [effectOf(FIRST), effectOf(twice)] },
    ],
    [
      'two live owners',
      /attempt 2 .* was claimed in the lease of attempt 1/,
      { calls: [paidBy(early)], effects: [effectOf(FIRST), effectOf(early)] },
    ],
    [
      'a run after the end, also when it was not the first one to run',
      /attempt 3 .* was claimed after attempt 1 .* had finished/,
      {
        calls: [paidBy(FIRST, { answeredAtUs: LATER_US })],
        effects: [effectOf(FIRST), effectOf(SECOND), effectOf(THIRD)],
      },
    ],
    [
      'a run after the end',
      /attempt 2 .* was claimed after attempt 1 .* had finished/,
      { calls: [paidBy(FIRST)], effects: [effectOf(FIRST), effectOf(SECOND)] },
    ],
  ])('%s', (_name, violation, history) => {
    expect(check(history)).toEqual(expect.arrayContaining([expect.stringMatching(violation)]));
  });

  it('a second committed effect, where effect and record are one transaction', () => {
    const history = { calls: [paidBy(SECOND)], effects: [effectOf(FIRST), effectOf(SECOND)] };
    expect(check(history, true)).toEqual(['alice order-1: has 2 committed effects']);
  });
});
