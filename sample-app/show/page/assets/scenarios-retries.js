import { keyFact, keyed, randomNumber, short } from './calls.js';
import { newKey } from './run.js';

const pay = ({ key, orderId, isUnprotected }) => {
  const body = { orderId, amount: 40 };
  return isUnprotected
    ? { path: '/unprotected/payments', body }
    : keyed({ path: '/payments', body }, key);
};

const payByNumber = ({ orderNo }, amount) => ({
  path: '/payments/by-order',
  body: { orderNo, amount },
});

const takeOne = ({ key }) => keyed({ path: '/goods/1/decrement', body: { by: 1 } }, key);

const fail = ({ key }) => keyed({ path: '/flaky', body: { fail: 2 } }, key);

/** @type {import('./scenarios.js').Scenario[]} */
export const RETRIES = [
  {
    id: 'payment',
    rows: 'S1 · S3',
    group: 'Retries',
    title: 'Pay for an order',
    danger: 'The reply to a payment gets lost. The customer pays again, and is charged twice.',
    code: '@Idempotent({ transaction: true })',
    route: 'POST /payments',
    words: ['request', 'payment'],
    pace: 500,
    unprotected: 'POST /unprotected',
    isNewEachTime: true,
    make: () => ({ key: newKey(), orderId: `A-${randomNumber()}` }),
    facts: ({ key, orderId }) => [
      ['Order', orderId],
      ['Amount', '40.00'],
      ['Idempotency-Key', short(key)],
    ],
    actions: [
      { label: 'Pay', isSentAgain: true, act: (run, payment) => run.send(pay(payment)) },
      { label: 'Click twice', act: (run, payment) => run.atOnce(pay(payment), 2) },
      { label: 'Fire 20 at once', act: (run, payment) => run.atOnce(pay(payment), 20) },
      {
        label: 'Lose the reply, retry',
        act: async (run, payment) => {
          await run.lose(pay(payment));
          await run.sendUntilAnswered(pay(payment));
        },
      },
    ],
  },
  {
    id: 'stock',
    rows: 'S2',
    group: 'Retries',
    title: 'Take one from stock',
    danger:
      '“Stock minus one” is another number every time it runs: a retry after a time-out takes two.',
    code: '@Idempotent()',
    route: 'POST /goods/:id/decrement',
    words: ['request', 'lamp taken'],
    pace: 300,
    isNewEachTime: true,
    make: () => ({ key: newKey() }),
    facts: async (taken, run) => [
      ['Lamps in stock', String((await run.read('/goods/1')).stock)],
      ...keyFact(taken),
    ],
    actions: [
      { label: 'Take one', isSentAgain: true, act: (run, taken) => run.send(takeOne(taken)) },
      {
        label: 'Time out, retry 3 times',
        act: async (run, taken) => {
          await run.lose(takeOne(taken));
          for (let retry = 1; retry <= 3; retry++) await run.sendUntilAnswered(takeOne(taken));
        },
      },
    ],
  },
  {
    id: 'number',
    rows: 'S3b',
    group: 'Retries',
    title: 'A number used again',
    danger:
      'An order number is used again by mistake. The wrong amount is charged, or the right one is forgotten.',
    code: "@Idempotent({ key: body('orderNo') })",
    route: 'POST /payments/by-order',
    pace: 200,
    fresh: 'Next number',
    make: () => ({ orderNo: `B-${randomNumber()}` }),
    facts: ({ orderNo }) => [['Order number', orderNo]],
    actions: [
      { label: 'Pay 40', act: (run, order) => run.send(payByNumber(order, 40)) },
      { label: 'Pay 90', act: (run, order) => run.send(payByNumber(order, 90)) },
      {
        label: 'Pay 40, then 90, then 40',
        act: async (run, order) => {
          for (const amount of [40, 90, 40]) await run.send(payByNumber(order, amount));
        },
      },
    ],
  },
  {
    id: 'failure',
    rows: 'S10b',
    group: 'Retries',
    title: 'Fail twice, then work',
    danger:
      'A failure uses up the key: the customer can never get through, or gets the old error again and again.',
    code: '@Idempotent()',
    route: 'POST /flaky',
    pace: 200,
    fresh: 'New key',
    make: () => ({ key: newKey() }),
    facts: keyFact,
    actions: [
      { label: 'Try', act: (run, subject) => run.send(fail(subject)) },
      {
        label: 'Try until it works, and once more',
        act: async (run, subject) => {
          await run.sendUntilAnswered(fail(subject));
          await run.send(fail(subject));
        },
      },
    ],
  },
];
