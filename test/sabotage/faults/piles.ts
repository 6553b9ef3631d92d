import type { Fault } from '../fault.js';

const DEFERRED = 'test/engine/deferred.test.ts';
const HOSTILE = 'test/survival/hostile-replies.test.ts';
const SUBSCRIBERS = 'test/survival/subscribers.test.ts';
const CLOCK_STEPS = 'test/contract/clock-steps.test.ts';
const FULL_STORES = 'test/contract/full-stores.test.ts';
const CONTRACT = 'test/contract/memory.contract.test.ts';

/** What ends the process, and what piles up in it. */
export const PILES_FAULTS: readonly Fault[] = [
  {
    name: 'a head that Node will refuse is captured',
    breaks: ['T91', 'design 3.3'],
    file: 'src/transports/http/response-recorder.ts',
    find: '    checkHead(this.response, args);\n',
    put: '',
    tests: [[HOSTILE, 'in the head']],
  },
  {
    name: 'a piece of the wrong type is captured',
    breaks: ['T91', 'design 3.3'],
    file: 'src/transports/http/response-recorder.ts',
    find: '    checkPiece(this.response, args);\n',
    put: '',
    tests: [[HOSTILE, 'a piece that is']],
  },
  {
    name: 'headers can be changed when the reply has begun',
    breaks: ['T91', 'design 3.3'],
    file: 'src/transports/http/response-recorder.ts',
    find: "    return this.phase === 'capturing' && this.headers !== undefined;\n",
    put: '    return false;\n',
    tests: [[HOSTILE, 'after the head|after a first piece']],
  },
  {
    name: 'replies that wait for the store are not counted in bytes',
    breaks: ['T95'],
    file: 'src/engine/deferred.ts',
    find: 'this.bytes + reply.byteLength <= this.bounds.maxBytes',
    put: 'reply.byteLength >= 0',
    tests: [DEFERRED],
  },
  {
    name: 'any number of ends may wait for the store',
    breaks: ['T95'],
    file: 'src/engine/deferred.ts',
    find: 'this.count >= this.bounds.maxCompletions || ',
    put: '',
    tests: [DEFERRED],
  },
  {
    name: 'what waits for the store keeps the request that it came from',
    breaks: ['T95'],
    file: 'src/engine/leased-claim.ts',
    find: 'this.request = withoutCall(request);',
    put: 'this.request = request;',
    tests: [DEFERRED],
  },
  {
    name: 'a store without room is asked to take the same reply for ever',
    breaks: ['T95'],
    file: 'src/engine/leased-claim.ts',
    find: '      if (isStoreFull(settlement.cause)) return this.completeWithTombstone(settlement.cause);\n',
    put: '',
    tests: [DEFERRED],
  },
  {
    name: 'a full Redis looks like one that is down',
    breaks: ['T95', 'store redis'],
    file: 'src/stores/redis/redis.store.ts',
    find: '/\\bOOM\\b/.test(error.message)',
    put: 'false',
    tests: [FULL_STORES],
  },
  {
    name: 'a packet that is too large looks like a cut connection',
    breaks: ['T95', 'store mysql'],
    file: 'src/stores/typeorm/mysql-records.ts',
    find: 'if (bytes < LEAST_PACKET_BYTES || bytes < (await this.packetBytes())) throw cause;',
    put: 'if (bytes > 0) throw cause;',
    tests: [[FULL_STORES, 'MariaDB']],
  },
  {
    name: 'a lease lasts an hour because the clock was set back, on MySQL',
    breaks: ['T96', 'guarantee 5', 'store mysql'],
    file: 'src/stores/typeorm/mysql-records.ts',
    find: '      await this.boundLease(request.id);\n',
    put: '      void 0;\n',
    tests: [[CLOCK_STEPS, 'MariaDB']],
  },
  {
    name: 'a lease lasts an hour because the clock was set back, on PostgreSQL',
    breaks: ['T96', 'guarantee 5', 'store postgres'],
    file: 'src/stores/typeorm/postgres-records.ts',
    find: '        await this.boundLease(request.id);\n',
    put: '',
    tests: [[CLOCK_STEPS, 'PostgreSQL']],
  },
  {
    name: 'a fencing token falls when the clock is set back',
    breaks: ['T96', 'guarantee 6', 'store memory'],
    file: 'src/stores/memory/memory.store.ts',
    find: 'Math.max(this.lastFencingToken, request.aboveToken ?? 0) + 1',
    put: 'this.lastFencingToken + 1',
    tests: [[CONTRACT, 'fencing token']],
  },
  {
    name: 'a kept reply is unpacked without a limit',
    breaks: ['T97'],
    file: 'src/transports/http/replayer.ts',
    find: 'MOST_UNPACKED * maxResponseBytes',
    put: '2 ** 30',
    tests: [['test/http/replies.test.ts', 'not unpacked without end']],
  },
  {
    name: 'a subscriber of events that throws ends the process',
    breaks: ['T97', 'design 4.5'],
    file: 'src/observability/isolated-events.ts',
    find: '    failed(subscriber, error);\n  }\n}',
    put: '    throw error;\n  }\n}',
    tests: [SUBSCRIBERS],
  },
  {
    name: 'a shutdown waits on timers that do not keep the process',
    breaks: ['T97'],
    file: 'src/engine/engine.ts',
    find: 'setInterval(() => undefined, LONG_MS)',
    put: 'setInterval(() => undefined, LONG_MS).unref()',
    tests: ['test/survival/shutdown.test.ts'],
  },
  {
    name: 'a body that nobody parses is an error of the server',
    breaks: ['T98'],
    file: 'src/calls/operations.ts',
    find: '  return error.isUnparsed\n',
    put: '  return !error.isUnparsed\n',
    tests: [['test/http/identity.test.ts', 'content that no parser knows']],
  },
  {
    name: 'an id of an operation tells the others',
    breaks: ['design 7.3'],
    file: 'src/operation/current-operation.ts',
    find: 'const secret = seed.slice(UUID_LENGTH);',
    put: 'const secret = seed.slice(0, 18);',
    tests: ['test/service/operation-ids.test.ts'],
  },
];
