import type { Fault, TestRun } from '../fault.js';

const IN_PROCESS = 'test/values/in-process.test.ts';
const RECORDS = 'test/values/records.test.ts';
const MESSAGES = 'test/values/messages.test.ts';
const GRAPHQL = 'test/values/graphql.test.ts';
const DATA_CLASS = 'src/replies/data-class.ts';
const KEPT = 'src/replies/kept-value.ts';
const OPERATIONS = 'src/calls/value-operations.ts';
const kind = (name: string): TestRun => [IN_PROCESS, `what run\\(\\) returns ${name}`];

const inStep = (name: string): TestRun => [IN_PROCESS, `what a step returns ${name}`];

/** What a replay returns outside HTTP. */
export const VALUE_FAULTS: readonly Fault[] = [
  {
    name: 'values: a class with accessors comes back without them',
    breaks: ['design 7.4', 'T65'],
    file: DATA_CLASS,
    find: "if (!('value' in member)) return 'has accessors';",
    put: '',
    tests: [kind('class with a getter')],
  },
  {
    name: 'values: toJSON() of a class counts for nothing',
    breaks: ['design 7.4', 'T65'],
    file: DATA_CLASS,
    find: "if (key === 'toJSON') return 'has toJSON()';",
    put: '',
    tests: [kind('class with toJSON')],
  },
  {
    name: 'values: private fields are lost in silence',
    breaks: ['design 7.4', 'T65'],
    file: DATA_CLASS,
    find: 'DECLARED.test(source) || ',
    put: '',
    tests: [kind('class with a private field')],
  },
  {
    name: 'values: what @Exclude() hides is recorded',
    breaks: ['design 7.4', 'T29'],
    file: 'src/replies/class-transformer.ts',
    find: 'if (!this.leaves(prototype, keys)) return true;',
    put: '',
    tests: [kind('class with @Exclude')],
  },
  {
    name: 'values: a lazy relation is dropped',
    breaks: ['design 7.4', 'T65'],
    file: KEPT,
    find: "      if (!('value' in member)) throw new NotKeepableError(at, 'an accessor');\n      if (typeof key",
    put: "      if (!('value' in member)) continue;\n      if (typeof key",
    tests: [kind('entity with a lazy relation')],
  },
  {
    name: 'values: a value that cannot be kept fails the call',
    breaks: ['design 7.4', 'T60'],
    file: OPERATIONS,
    find: 'return [this.tombstone(call, error), value];',
    put: 'throw error;',
    tests: [kind('function')],
  },
  {
    name: 'values: a reply that was found out shows what @Exclude() hides',
    breaks: ['design 7.4', 'T29'],
    file: 'src/calls/recovery-call.ts',
    find: 'JSON.stringify(sentAsJson(value, keeping))',
    put: 'JSON.stringify(value)',
    tests: [
      ['test/http/failures.test.ts', 'express leave a tombstone of a reply that cannot be sent'],
    ],
  },
  {
    name: 'values: who settles does not know the classes of the handler',
    breaks: ['design 7.4', 'T65'],
    file: 'src/calls/recovery-call.ts',
    find: ': handlers.withScope(scope)?.values;',
    put: ': undefined;',
    tests: [['test/values/options.test.ts', 'counts for the reply with which an operator settles']],
  },
  {
    name: 'values: what a scalar would make of an error is replayed instead of the error',
    breaks: ['design 7.4', 'T65'],
    file: 'src/transports/graphql/schema-place.ts',
    find: '    if (types.isNativeError(value) || value instanceof Error) return undefined;',
    put: '',
    tests: [[GRAPHQL, 'a refusal, and one warning: failed']],
  },
  {
    name: 'values: a step with a result that cannot be kept runs again',
    breaks: ['design 7.4', 'T60', 'T65'],
    file: 'src/operation/steps.ts',
    find: '      return NOT_KEPT;',
    put: '      throw error;',
    tests: [inStep('function'), 'test/service/service.test.ts'],
  },
  {
    name: 'values: a step that needs a lost result does not hold its operation',
    breaks: ['design 7.4', 'T65'],
    file: 'src/operation/steps.ts',
    find: '        await this.claim?.hold(`the result',
    put: '        void (`the result',
    tests: ['test/service/service.test.ts'],
  },
  {
    name: 'values: the classes that a step returns are forgotten',
    breaks: ['design 7.4', 'T65'],
    file: 'src/operation/steps.ts',
    find: 'options?.returns, ',
    put: 'undefined, ',
    tests: [inStep('error of its own class, with returns')],
  },
  {
    name: 'values: a result of a step that an older version wrote cannot be read',
    breaks: ['design 7.4'],
    file: 'src/operation/steps.ts',
    find: 'bytes[0] === V8_CLONE ? clone(bytes) : ',
    put: '',
    tests: ['test/steps/steps.test.ts'],
  },
  {
    name: 'values: every reply that is not kept is warned of',
    breaks: ['design 7.4'],
    file: 'src/operation/not-kept-warnings.ts',
    find: 'this.given.has(warning) || ',
    put: '',
    tests: [kind('function')],
  },
  {
    name: 'values: a type that nobody registered comes back as its data',
    breaks: ['design 7.4'],
    file: 'src/replies/restored-value.ts',
    find: 'if (type !== undefined || this.restoring.isLenient === true) return type;',
    put: 'return type;',
    tests: [RECORDS],
  },
  {
    name: 'values: a member named __proto__ becomes the prototype',
    breaks: ['design 7.4', 'T24'],
    file: 'src/replies/marks.ts',
    find: "if (key === '__proto__')",
    put: "if (key === '')",
    tests: [RECORDS],
  },
  {
    name: 'values: what a message sends is read once more than it is recorded',
    breaks: ['design 7.4', 'T65'],
    file: OPERATIONS,
    find: 'return [encodeValueReply(answer, values), answer];',
    put: 'return [encodeValueReply(answer, values), value];',
    tests: [[MESSAGES, 'has said once']],
  },
  {
    name: 'values: a field that getters read comes back as what its scalar made',
    breaks: ['design 7.4', 'T65'],
    file: 'src/transports/graphql/schema-place.ts',
    find: 'if (around.isMember) return undefined;',
    put: '',
    tests: [[GRAPHQL, 'priced']],
  },
];
