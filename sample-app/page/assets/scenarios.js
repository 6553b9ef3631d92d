import { newKey } from './run.js';

/**
 * @typedef {object} Scenario
 * @property {string} id
 * @property {string} rows where it stands in the list of situations
 * @property {string} group
 * @property {string} title
 * @property {string} danger what goes wrong without protection
 * @property {string} code what protects it
 * @property {string} route the counter among the effects
 * @property {number} [pace] milliseconds that handlers take longer
 * @property {number} [settle] milliseconds of quiet after which nothing more is to come
 * @property {[sent: string, ran: string]} [words] what is counted, when it is not requests and executions
 * @property {string} [fresh] the button for another subject
 * @property {() => object | Promise<object>} [make] the subject: what all requests are about
 * @property {(subject: object, run: import('./run.js').Run) => Fact[] | Promise<Fact[]>} [facts]
 * @property {{ name: string, label: string, value: string }[]} [fields]
 * @property {Action[]} [actions]
 * @property {'form' | 'button'} [widget] made by the library's client, and not of actions
 */

/** @typedef {[term: string, value: string]} Fact */

/**
 * @typedef {object} Action
 * @property {string} label
 * @property {string} [hint]
 * @property {(run: import('./run.js').Run, subject: any, fields: Record<string, string>) => unknown} act
 */

const keyed = (call, key) => ({ ...call, headers: { 'Idempotency-Key': key } });
const short = (key) => `${key.slice(0, 8)}…`;
const keyFact = ({ key }) => [['Idempotency-Key', short(key)]];
const randomNumber = () => String(1000 + Math.floor(Math.random() * 9000));

const pay = ({ key, orderId }) => keyed({ path: '/payments', body: { orderId, amount: 40 } }, key);
const payByNumber = ({ orderNo }, amount) => ({
  path: '/payments/by-order',
  body: { orderNo, amount },
});
const takeOne = ({ key }) => keyed({ path: '/goods/1/decrement', body: { by: 1 } }, key);
const slow = ({ key }, ms) => keyed({ path: '/slow', body: { ms } }, key);
const fail = ({ key }) => keyed({ path: '/flaky', body: { fail: 2 } }, key);
const rename = ({ version }, name) => ({
  method: 'PUT',
  path: '/goods/3',
  headers: { 'If-Match': `"${version}"` },
  body: { name },
});
const change = ({ id }, how) => ({ path: `/orders/${id}/${how}` });
const message = ({ id, messageId }, status) => ({
  path: '/messages/order-events',
  body: { messageId, orderId: id, status },
});
const importRows = ({ key }) => keyed({ path: '/imports', body: { rows: ['a', 'b', 'c'] } }, key);

async function placeOrder(run) {
  const { body: token } = await run.prepare({ path: '/idempotency/tokens' });
  const { body: order } = await run.prepare({
    path: '/orders',
    headers: { [token.header]: token.token },
    body: { sku: 'lamp', quantity: 1 },
  });
  return order;
}

const orderFacts = async ({ id }, run) => {
  const { status } = await run.read(`/orders/${id}`);
  return [
    ['Order', short(id)],
    ['Status', status],
  ];
};

/** @type {Scenario[]} */
export const SCENARIOS = [
  {
    id: 'payment',
    rows: 'S1 · S3',
    group: 'Retries',
    title: 'Pay for an order',
    danger: 'The reply to a payment gets lost. The customer pays again, and is charged twice.',
    code: '@Idempotent({ transaction: true })',
    route: 'POST /payments',
    pace: 500,
    fresh: 'New payment',
    make: () => ({ key: newKey(), orderId: `A-${randomNumber()}` }),
    facts: ({ key, orderId }) => [
      ['Order', orderId],
      ['Amount', '40.00'],
      ['Idempotency-Key', short(key)],
    ],
    actions: [
      { label: 'Pay', act: (run, payment) => run.send(pay(payment)) },
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
    pace: 300,
    fresh: 'Next customer',
    make: () => ({ key: newKey() }),
    facts: async (taken, run) => [
      ['Lamps in stock', String((await run.read('/goods/1')).stock)],
      ...keyFact(taken),
    ],
    actions: [
      { label: 'Take one', act: (run, taken) => run.send(takeOne(taken)) },
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
  {
    id: 'button',
    rows: 'S14',
    group: 'In the browser',
    title: 'A button that waits',
    danger: 'An impatient customer clicks again, or the page retries with a new key: bought twice.',
    code: "protectButton(button, ({ fetch }) => fetch('/goods/2/decrement', request))",
    route: 'POST /goods/:id/decrement',
    pace: 900,
    widget: 'button',
  },
  {
    id: 'form',
    rows: 'S10',
    group: 'In the browser',
    title: 'A form with a token',
    danger:
      'A new order has no number yet. Enter twice, or a reload after submitting, orders twice.',
    code: "protectForm(form, { tokenUrl: '/idempotency/tokens' })\n@Idempotent({ strategy: 'token' })",
    route: 'POST /orders',
    pace: 1200,
    widget: 'form',
  },
  {
    id: 'editors',
    rows: 'S8b',
    group: 'At the same time',
    title: 'Two editors',
    danger:
      'Anna and Ben open the same article. Whoever saves last undoes the other’s change and nobody knows.',
    code: "@Idempotent({ strategy: 'version', entity: Goods, id: param('id'), version: ifMatch() })",
    route: 'PUT /goods/:id',
    pace: 200,
    fresh: 'Both open it again',
    make: async (run) => {
      const { version } = await run.read('/goods/3');
      return { version, anna: `Round table ${version}`, ben: `Oak table ${version}` };
    },
    facts: async ({ version }, run) => {
      const now = await run.read('/goods/3');
      return [
        ['Both have seen version', String(version)],
        ['Now', `version ${now.version}, “${now.name}”`],
      ];
    },
    actions: [
      { label: 'Anna saves', act: (run, article) => run.send(rename(article, article.anna)) },
      { label: 'Ben saves', act: (run, article) => run.send(rename(article, article.ben)) },
      {
        label: 'Anna, Ben, and Anna’s retry',
        act: async (run, article) => {
          for (const name of [article.anna, article.ben, article.anna])
            await run.send(rename(article, name));
        },
      },
    ],
  },
  {
    id: 'states',
    rows: 'S9',
    group: 'At the same time',
    title: 'Pay, ship, cancel',
    danger: 'An order is shipped twice, or cancelled after it has left the house.',
    code: "@Idempotent({ strategy: 'state', entity: Order, id: param('id'), column: 'status', to: 'paid', … })",
    route: 'POST /orders/:id/pay',
    words: ['request', 'payment'],
    pace: 200,
    fresh: 'New order',
    make: placeOrder,
    facts: orderFacts,
    actions: [
      { label: 'Pay', act: (run, order) => run.send(change(order, 'pay')) },
      { label: 'Ship', act: (run, order) => run.send(change(order, 'ship')) },
      { label: 'Cancel', act: (run, order) => run.send(change(order, 'cancel')) },
      { label: 'Pay 5 times at once', act: (run, order) => run.atOnce(change(order, 'pay'), 5) },
    ],
  },
  {
    id: 'coupon',
    rows: 'S12',
    group: 'At the same time',
    title: 'A coupon for one',
    danger: 'Look, decide, write: two people look at the same time, and both get the last coupon.',
    code: "@Idempotent({ strategy: 'lock', key: param('id'), wait: '10s' })",
    route: 'POST /coupons/:id/claim',
    words: ['request', 'claim, one at a time'],
    pace: 150,
    fresh: 'Another coupon',
    make: () => ({ id: `summer-${randomNumber()}` }),
    facts: async ({ id }, run) => [
      ['Coupon', id],
      ['Left', String((await run.read(`/coupons/${id}`)).left)],
    ],
    actions: [
      { label: 'Claim one', act: (run, { id }) => run.send({ path: `/coupons/${id}/claim` }) },
      {
        label: '20 people at once',
        act: (run, { id }) => run.atOnce({ path: `/coupons/${id}/claim` }, 20),
      },
    ],
  },
  {
    id: 'comment',
    rows: 'S13',
    group: 'Without a key',
    title: 'The same words twice',
    danger: 'Nobody sends a key with a comment. A double tap posts it twice.',
    code: "@Idempotent({ key: signature(), ttl: '10s' })",
    route: 'POST /comments',
    pace: 200,
    fields: [{ name: 'text', label: 'Comment', value: 'What a lovely lamp!' }],
    facts: () => [['For ten seconds', 'the same words of the same author are one comment']],
    actions: [
      {
        label: 'Post',
        act: (run, _, { text }) => run.send({ path: '/comments', body: { text, topic: 'lamps' } }),
      },
      {
        label: 'Post, and once more with the fields in another order',
        act: async (run, _, { text }) => {
          await run.send({ path: '/comments', body: { text, topic: 'lamps' } });
          await run.send({ path: '/comments', body: { topic: 'lamps', text } });
        },
      },
    ],
  },
  {
    id: 'vote',
    rows: 'S19',
    group: 'Without a key',
    title: 'One vote each',
    danger: 'A user votes again and again on purpose, with a new key every time.',
    code: "@Idempotent({ key: [principal(), param('target')], onDuplicate: 'reject' })",
    route: 'POST /votes/:target',
    pace: 200,
    fresh: 'Another poll',
    make: () => ({ target: `poll-${randomNumber()}` }),
    facts: ({ target }) => [
      ['Poll', target],
      ['Who may vote', 'once each: change who is signed in, above'],
    ],
    actions: [
      { label: 'Vote', act: (run, { target }) => run.send({ path: `/votes/${target}` }) },
      {
        label: 'Vote 5 times',
        act: async (run, { target }) => {
          for (let vote = 1; vote <= 5; vote++) await run.send({ path: `/votes/${target}` });
        },
      },
    ],
  },
  {
    id: 'slow',
    rows: 'S12 · S18',
    group: 'Slow and broken',
    title: 'Ask again meanwhile',
    danger: 'The work takes longer than the client’s patience. Every retry starts it once more.',
    code: '@Idempotent()',
    route: 'POST /slow',
    fresh: 'New key',
    make: () => ({ key: newKey() }),
    facts: keyFact,
    actions: [
      {
        label: 'Start, and ask 3 times meanwhile',
        act: async (run, subject) => {
          const { reply } = await run.begin(slow(subject, 3000));
          await run.atOnce(slow(subject, 3000), 3);
          await reply;
          await run.send(slow(subject, 3000));
        },
      },
      {
        label: 'Lose the connection, retry as told',
        act: async (run, subject) => {
          await run.lose(slow(subject, 3000));
          await run.sendUntilAnswered(slow(subject, 3000));
        },
      },
    ],
  },
  {
    id: 'worker',
    rows: 'S18',
    group: 'Slow and broken',
    title: 'Kill the worker',
    danger:
      'A process dies at work. Its claim blocks the customer for a day, or two others take over at once.',
    code: "@Idempotent({ lease: '5s' })",
    route: 'POST /slow',
    words: ['request', 'execution here'],
    fresh: 'New key',
    make: () => ({ key: newKey() }),
    facts: async (subject, run) => {
      const { state } = await run.read('/worker');
      const states = { none: 'none', starting: 'starting …', running: 'ready to be killed' };
      return [['Worker', states[state]], ...keyFact(subject)];
    },
    actions: [
      {
        label: 'Kill it at work, retry here',
        hint: 'Starts another process with the same records, kills it with SIGKILL, and asks this one. A few seconds.',
        act: async (run, subject) => {
          const started = await run.prepare({ path: '/worker' });
          if (started.status !== 200) return run.note(started);
          const { reply } = await run.begin({ ...slow(subject, 2000), path: '/worker/slow' });
          await run.pause(1000);
          await run.prepare({ method: 'DELETE', path: '/worker' });
          await reply;
          return run.sendUntilAnswered(slow(subject, 2000));
        },
      },
      {
        label: 'Start a worker',
        act: async (run) => run.note(await run.prepare({ path: '/worker' })),
      },
      {
        label: 'Give it 8 seconds of work',
        act: (run, subject) => run.send({ ...slow(subject, 8000), path: '/worker/slow' }),
      },
      {
        label: 'Kill it',
        act: async (run) => run.note(await run.prepare({ method: 'DELETE', path: '/worker' })),
      },
      {
        label: 'Retry here',
        act: (run, subject) => run.sendUntilAnswered(slow(subject, 8000)),
      },
    ],
  },
  {
    id: 'message',
    rows: 'S4 · S5 · S16',
    group: 'Messages and jobs',
    title: 'A message again',
    danger:
      'A broker delivers twice, or in the wrong order: the customer gets two texts, or a paid order is new again.',
    code: "@Idempotent({ key: payload('messageId'), acknowledge: true })",
    route: 'SMS',
    words: ['message, two deliveries each', 'text sent'],
    settle: 500,
    fresh: 'New order',
    make: async (run) => ({ ...(await placeOrder(run)), messageId: newKey() }),
    facts: async (order, run) => [
      ...(await orderFacts(order, run)),
      ['Message id', short(order.messageId)],
    ],
    actions: [
      { label: 'Deliver “paid”', act: (run, order) => run.send(message(order, 'paid')) },
      {
        label: 'Deliver it, and redeliver it',
        act: async (run, order) => {
          await run.send(message(order, 'paid'));
          await run.send(message(order, 'paid'));
        },
      },
      {
        label: '“Created” comes late',
        act: (run, order) => run.send({ ...message({ ...order, messageId: newKey() }, 'created') }),
      },
    ],
  },
  {
    id: 'import',
    rows: 'S15',
    group: 'Messages and jobs',
    title: 'A job in a queue',
    danger:
      'The same file is queued twice, or the queue delivers a job again: every row is there twice.',
    code: "@Idempotent({ strategy: 'queue', queue: 'imports' })",
    route: 'JOB imports',
    words: ['request', 'job'],
    settle: 500,
    fresh: 'New file',
    make: () => ({ key: newKey() }),
    facts: keyFact,
    actions: [
      { label: 'Import 3 rows', act: (run, file) => run.send(importRows(file)) },
      { label: 'The same 5 times at once', act: (run, file) => run.atOnce(importRows(file), 5) },
    ],
  },
];
