import { orderFacts, placeOrder, randomNumber } from './calls.js';

const rename = ({ version }, name) => ({
  method: 'PUT',
  path: '/goods/3',
  headers: { 'If-Match': `"${version}"` },
  body: { name },
});

const change = ({ id }, how) => ({ path: `/orders/${id}/${how}` });

/** @type {import('./scenarios.js').Scenario[]} */
export const AT_ONCE = [
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
    title: 'The last coupon',
    danger: 'Read, decide, write: two people read at the same time, and both get the last coupon.',
    code: "@Idempotent({ strategy: 'lock', key: param('id'), wait: '30s' })",
    route: 'POST /coupons/:id/claim',
    words: ['request', 'coupon given'],
    countsSuccesses: true,
    pace: 150,
    isNewEachTime: true,
    make: () => ({ id: `last-${randomNumber()}` }),
    facts: async ({ id }, run) => [
      ['Coupon', id],
      ['Left', String((await run.read(`/coupons/${id}`)).left)],
    ],
    actions: [
      {
        label: 'Claim it',
        isSentAgain: true,
        act: (run, { id }) => run.send({ path: `/coupons/${id}/claim` }),
      },
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
    facts: () => [['For ten seconds', 'the same words by the same author are one comment']],
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
];
