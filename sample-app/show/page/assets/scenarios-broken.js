import { keyFact, keyed, orderFacts, placeOrder, short } from './calls.js';
import { newKey } from './run.js';

const slow = ({ key }, ms) => keyed({ path: '/slow', body: { ms } }, key);

const message = ({ id, messageId }, status) => ({
  path: '/messages/order-events',
  body: { messageId, orderId: id, status },
});

const importRows = ({ key }) => keyed({ path: '/imports', body: { rows: ['a', 'b', 'c'] } }, key);

/** @type {import('./scenarios.js').Scenario[]} */
export const BROKEN = [
  {
    id: 'slow',
    rows: 'S12 · S18',
    group: 'Slow and broken',
    title: 'Ask again meanwhile',
    danger: 'The work takes longer than the client’s patience. Every retry starts it once more.',
    code: '@Idempotent()',
    route: 'POST /slow',
    isNewEachTime: true,
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
        label: 'Kill it while it works, retry here',
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
    isNewEachTime: true,
    make: () => ({ key: newKey() }),
    facts: keyFact,
    actions: [
      { label: 'Import 3 rows', isSentAgain: true, act: (run, file) => run.send(importRows(file)) },
      { label: 'The same 5 times at once', act: (run, file) => run.atOnce(importRows(file), 5) },
    ],
  },
];
