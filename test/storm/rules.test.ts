import type { Asked, Paid } from './business.js';
import type { Answer } from './clients.js';
import { brokenRules } from './rules.js';

const ASKED: Asked = { place: 'h0', caller: 'alice', key: 'k1', amount: 5 };
const PAID: Paid = { ...ASKED, run: 'run1' };
const ANSWER: Answer = {
  asked: ASKED,
  status: 201,
  paid: PAID,
  isReplayed: false,
  isHanging: false,
  hasLeft: false,
};
const broken = (answers: readonly Answer[], effects: readonly Paid[], sharesKeys = false) =>
  brokenRules({ answers, effects }, () => sharesKeys);

describe('the rules of storms', () => {
  it('accept a reply, its repetition, a refusal, and a client that left', () => {
    const refused = { ...ANSWER, status: 409, paid: {} };
    const left = { ...ANSWER, status: 0, paid: undefined, hasLeft: true };
    expect(broken([ANSWER, { ...ANSWER, isReplayed: true }, refused, left], [PAID])).toEqual([]);
  });

  it.each<[string, RegExp, readonly Answer[], readonly Paid[]]>([
    ['two effects', /^two effects/, [ANSWER], [PAID, { ...PAID, run: 'run2' }]],
    [
      'the reply of another caller',
      /^reply of another call/,
      [{ ...ANSWER, paid: { ...PAID, caller: 'bob' } }],
      [PAID],
    ],
    [
      'the reply of another place',
      /^reply of another call/,
      [{ ...ANSWER, paid: { ...PAID, place: 'h1' } }],
      [PAID],
    ],
    [
      'the reply to other content',
      /^reply of another call/,
      [{ ...ANSWER, paid: { ...PAID, amount: 6 } }],
      [PAID],
    ],
    ['a reply without an effect', /^reply without effect/, [ANSWER], []],
    ['success without content', /^success without content/, [{ ...ANSWER, paid: {} }], [PAID]],
    [
      'no answer',
      /^no answer/,
      [{ ...ANSWER, status: 0, paid: undefined, isHanging: true }],
      [PAID],
    ],
  ])('find %s', (_name, said, answers, effects) => {
    expect(broken(answers, effects)).toContainEqual(expect.stringMatching(said));
  });

  it('count the effects of all callers together where they have one space of keys', () => {
    const effects = [PAID, { ...PAID, caller: 'bob', run: 'run2' }];
    expect(broken([], effects, true)).toContainEqual(expect.stringMatching(/^two effects/));
    expect(broken([], effects)).toEqual([]);
  });
});
