import type { Fault } from '../fault.js';

const HTTP_OPERATION = 'src/transports/http/http-operation.ts';
const HTTP_TRANSPORT = 'src/transports/http/http-transport.ts';
const VALUE_OPERATIONS = 'src/calls/value-operations.ts';
const VALUE_TRANSPORT = 'src/calls/value-transport.ts';
const HANDLER_RUN = 'src/operation/handler-run.ts';
const on = (file: string, target: string, name = ''): [string, string] => [
  `test/protection/${file}.test.ts`,
  `${target}.*${name}`,
];

/** An operation ends with its handler, whatever is around it. */
export const PROTECTION_FAULTS: readonly Fault[] = [
  {
    name: 'http: every way through the interceptor runs the handler',
    breaks: ['T57', 'design 7.2'],
    file: HANDLER_RUN,
    find: '    if (this.hasStarted) {\n',
    put: '    if (this.hasStarted && this.claim === undefined) {\n',
    tests: [on('passes', 'express', 'leads to one run')],
  },
  {
    name: 'http: the second way to a handler is taken for a call from elsewhere',
    breaks: ['T57', 'design 7.2'],
    file: HTTP_OPERATION,
    find: 'const run = this.passes.length === 1 ? this.run : this.run.again();',
    put: 'const { run } = this;',
    tests: [on('passes', 'express', 'leads to one run')],
  },
  {
    name: 'http: a handler that has failed is not tried again by who tries again',
    breaks: ['design 7.2'],
    file: HTTP_OPERATION,
    find: "decision === 'release' && this.claim.isRunning",
    put: 'this.claim === undefined',
    tests: [on('passes', 'express', 'gets a new attempt')],
  },
  {
    name: 'values: whoever comes while the call runs begins another',
    breaks: ['T57', 'design 7.2'],
    file: VALUE_TRANSPORT,
    find: 'if (current !== undefined) return current.listen(subscriber, again);',
    put: '',
    tests: [on('passes', 'messages', 'leads to one run')],
  },
  {
    name: 'values: an interceptor that is registered twice waits for itself',
    breaks: ['T12'],
    file: VALUE_TRANSPORT,
    find: 'if (passage !== undefined && this.around.getStore() === passage) return next.handle();',
    put: '',
    tests: [on('passes', 'messages', 'registered for all handlers')],
  },
  {
    name: 'http: middleware that answers first decides about the operation',
    breaks: ['T58', 'design 7.2'],
    file: HTTP_OPERATION,
    find: ' || (run.isSilent && !isHandlers))',
    put: ')',
    tests: [on('answered-by-others', 'middleware that ends the response on express')],
  },
  {
    name: 'http: a handler runs again because its reply could not be made',
    breaks: ['T60', 'design 7.2'],
    file: HTTP_OPERATION,
    find: 'return mayRunAgain ? this.release() : this.complete(NOT_KEPT);',
    put: 'return this.release();',
    tests: [
      on('passes', 'express', 'does not have it run again'),
      ['test/http/failures.test.ts', 'express to serialize'],
    ],
  },
  {
    name: 'values: a handler runs again because its reply could not be made',
    breaks: ['T60', 'design 7.2'],
    file: VALUE_OPERATIONS,
    find: 'await (mayRunAgain ? claim.release() : claim.complete(NOT_KEPT));',
    put: 'await claim.release();',
    tests: [on('passes', 'messages', 'further in that throws')],
  },
  {
    name: 'values: a time-out within the protection frees the key of a handler that runs',
    breaks: ['T58', 'design 7.2'],
    file: VALUE_OPERATIONS,
    find: 'if (!run.hasEnded) return this.settleAtEnd(call, claim, run);',
    put: '',
    tests: [on('left-calls', 'messages', 'gives up further in')],
  },
  {
    name: 'http: a call runs although somebody has answered it before it began',
    breaks: ['T92', 'design 7.2'],
    file: HTTP_TRANSPORT,
    find: 'exchange.isLeft() ? this.giveBack(begun, exchange) : this.goOn(begun, exchange, handler),',
    put: 'this.goOn(begun, exchange, handler),',
    tests: [on('answered-by-others', 'before the handler has begun, on express')],
  },
  {
    name: 'values: a call that nobody waits for runs',
    breaks: ['T92', 'design 7.2'],
    file: VALUE_OPERATIONS,
    find: 'if (passage?.isLeft === true) {',
    put: 'if (passage?.isLeft === true && run.hasStarted) {',
    tests: [on('left-calls', 'messages', 'when the store answers')],
  },
  {
    name: 'an observable of a handler is called off by who stops listening',
    breaks: ['T92', 'design 7.2'],
    file: HANDLER_RUN,
    find: 'if (isObservable(value)) return this.observed(value);',
    put: 'if (isObservable(value)) return value;',
    tests: [on('left-calls', 'express', 'an observable')],
  },
  {
    name: 'a timer that outlives its run is a part of it',
    breaks: ['T93', 'design 7.2'],
    file: HANDLER_RUN,
    find: '(this.claim?.id === id && !this.hasEnded)',
    put: 'this.claim?.id === id',
    tests: [on('late-calls', 'express in a timer', 'calls a method')],
  },
  {
    name: 'code that outlives its run is told of an operation that is over',
    breaks: ['T93', 'design 7.2'],
    file: HANDLER_RUN,
    find: 'const isAlive = !this.hasEnded || this.claim?.isRunning !== false;',
    put: 'const isAlive = this.work !== undefined;',
    tests: [on('late-calls', 'express in a timer', 'is in no operation')],
  },
];
