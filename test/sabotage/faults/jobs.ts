import type { Fault } from '../fault.js';

const JOBS = 'src/keys/jobs.ts';
const JOBS_TEST = 'test/queues/jobs.test.ts';
const METHOD_TRANSPORT = 'src/transports/method/method-transport.ts';
const METHODS = 'src/transports/method/methods.ts';
const LISTENERS_TEST = 'test/methods/listeners.test.ts';

/** Jobs of queues, listeners, sagas. */
export const JOB_FAULTS: readonly Fault[] = [
  {
    name: 'jobs: "not now" is a failure of the last attempt',
    breaks: ['T71', 'S15'],
    file: 'src/calls/value-operations.ts',
    find: 'if (mayRunAgain && isNotNow(error, call.isOfJob === true)) return claim.giveBack();',
    put: '',
    tests: [[JOBS_TEST, "with strategy 'queue'.*goes on where it was"]],
  },
  {
    name: "jobs: an application's own error with such a name is not kept",
    breaks: ['T71', 'T39'],
    file: JOBS,
    find: "return isOfJob || (typeof message === 'string' && message.startsWith(OF_BULLMQ));",
    put: 'return true;',
    tests: [[JOBS_TEST, 'only has the name of one']],
  },
  {
    name: 'jobs: what a step has written in a transaction is undone',
    breaks: ['T71', 'S6'],
    file: 'src/engine/transactional-claim.ts',
    find: 'return this.transaction.release({ ...refOf(asking), ttlMs });',
    put: 'return Promise.resolve(ttlMs === 0);',
    tests: ['test/transactions/going-on.test.ts'],
  },
  {
    name: 'jobs: a job whose data has changed is another one',
    breaks: ['T73', 'S15'],
    file: 'src/engine/engine.ts',
    find: 'return request.accepts?.(result.fingerprint) === true',
    put: 'return (request.accepts?.(result.fingerprint) as unknown) === null',
    tests: [[JOBS_TEST, 'although its data has changed']],
  },
  {
    name: 'jobs: an id that begins again answers with the old result',
    breaks: ['T72'],
    file: JOBS,
    find: 'caller === askedCaller && (digest === askedDigest || job === askedJob)',
    put: 'caller === askedCaller && (digest === askedDigest || job !== askedDigest)',
    tests: [[JOBS_TEST, 'is refused with other content']],
  },
  {
    name: 'jobs: ids that the queue counts are keys by themselves',
    breaks: ['T72'],
    file: JOBS,
    find: "isCounted(text) && typeof timestamp === 'number'",
    put: "isCounted(text) && timestamp === 'never'",
    tests: [[JOBS_TEST, 'is a new operation, with the same content']],
  },
  {
    name: 'jobs: the counters of a job are content',
    breaks: ['T73'],
    file: JOBS,
    find: 'if (isJob(value)) return contentOfJob(value);',
    put: '',
    tests: [[JOBS_TEST, 'counts by its name and data']],
  },
  {
    name: 'jobs: a job that waits for another one has failed',
    breaks: ['T73', 'S15'],
    file: METHOD_TRANSPORT,
    find: 'if (call.isOfJob && isForLater(outcome))',
    put: 'if (call.isOfJob && outcome === null)',
    tests: [[JOBS_TEST, 'waits for the one that has its key']],
  },
  {
    name: 'jobs: an unrecoverable error is tried again when it is replayed',
    breaks: ['T71'],
    file: JOBS,
    find: '{ name: FINAL, stack }',
    put: '{ stack }',
    tests: [[JOBS_TEST, 'fails for good with the error on record']],
  },
  {
    name: 'jobs: a processor with a callback boots',
    breaks: ['design 7.1'],
    file: METHODS,
    find: 'parameters.length < 2) return true;',
    put: 'parameters.length >= 0) return true;',
    tests: [['test/queues/bull.test.ts', 'by a callback']],
  },
  {
    name: 'listeners: a duplicate is an error in the log',
    breaks: ['T74'],
    file: METHOD_TRANSPORT,
    find: 'if (!handler.listens || !isDuplicate(outcome, NOT_NEEDED)) throw error;',
    put: 'throw error;',
    tests: [[LISTENERS_TEST, 'left a duplicate alone']],
  },
  {
    name: 'listeners: a duplicate vanishes',
    breaks: ['T74'],
    file: METHOD_TRANSPORT,
    find: 'this.logger.warn(dropped(call.scope, outcome));',
    put: 'dropped(call.scope, outcome);',
    tests: [[LISTENERS_TEST, 'left a duplicate alone']],
  },
  {
    name: 'listeners: whatever is refused is quiet',
    breaks: ['T74', 'design 7.1'],
    file: METHOD_TRANSPORT,
    find: "outcome?.outcome === 'refused' ? codes.has(outcome.code)",
    put: "outcome?.outcome === 'refused' ? codes.size > 0",
    tests: [[LISTENERS_TEST, 'with every other refusal']],
  },
  {
    name: 'sagas: one with the decorator boots',
    breaks: ['T64', 'design 7.1'],
    file: METHODS,
    find: 'if (!Array.isArray(sagas) || !sagas.includes(methodName)) return;',
    put: 'if (Array.isArray(sagas)) return;',
    tests: [[LISTENERS_TEST, 'stops the application']],
  },
];
