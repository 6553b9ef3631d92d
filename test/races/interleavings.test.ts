import fc from '../support/properties.js';
import {
  failAfter,
  failBefore,
  hang,
  hangAfter,
  type StoreVerb,
  throwBefore,
} from '../../src/testing/index.js';
import { type Call, KEYS, LEASE_MS, Model, TTL_MS, WAIT_MS } from './model.js';

const PROCESSES = 3;
const RUNS = Number(process.env.RACES_RUNS ?? 250);
const TIMEOUT_MS = 30_000 + 20 * RUNS;
const LONGEST = 40;

type Action = (model: Model) => Promise<void> | void;

/** An action with a name, for the report of a failure. */
function named(name: string, action: Action): Action {
  return Object.assign(action, { [fc.toStringMethod]: () => name });
}

const someProcess = fc.nat({ max: PROCESSES - 1 });
const pick = fc.nat({ max: 9 });
const duration = fc.oneof(
  fc.integer({ min: 1, max: LEASE_MS }),
  fc.constantFrom(WAIT_MS, LEASE_MS / 3, LEASE_MS, 2 * LEASE_MS, TTL_MS),
);

const call = fc
  .record<Call>(
    {
      process: someProcess,
      key: fc.constantFrom(...KEYS),
      fingerprint: fc.constantFrom('content', 'content', 'content', 'other', ''),
      waits: fc.boolean(),
      onAbandoned: fc.constantFrom('rerun', 'rerun', 'hold'),
      recover: fc.constantFrom('rerun', 'hold', 'reply', 'fails'),
    },
    { requiredKeys: ['process', 'key', 'fingerprint', 'waits', 'onAbandoned'] },
  )
  .map((given) => named(`call ${JSON.stringify(given)}`, (model) => model.call(given)));

const finish = fc
  .tuple(pick, fc.constantFrom('complete', 'complete', 'complete', 'release', 'release', 'hold'))
  .map(([index, how]) => named(`${how} ${index}`, (model) => model.finish(index, how)));

const step = pick.map((index) => named(`step ${index}`, (model) => model.saveStep(index)));

const pass = duration.map((ms) => named(`pass ${ms}`, (model) => model.pass(ms)));

const pause = someProcess.map((index) => named(`pause ${index}`, (model) => model.pause(index)));
const wake = someProcess.map((index) => named(`wake ${index}`, (model) => model.wake(index)));
const crash = someProcess.map((index) => named(`crash ${index}`, (model) => model.crash(index)));
const jump = fc
  .tuple(fc.oneof(someProcess, fc.constant('store' as const)), duration)
  .map(([whose, ms]) => named(`jump ${whose} ${ms}`, (model) => model.jump(whose, ms)));

const FAULTS = { throwBefore, failBefore, failAfter, hang, hangAfter };
const VERBS: StoreVerb[] = ['acquire', 'extend', 'complete', 'release', 'hold', 'saveStep', 'find'];
const fault = fc
  .tuple(someProcess, fc.constantFrom(...VERBS), fc.constantFrom(...keysOf(FAULTS)))
  .map(([index, verb, how]) =>
    named(`${how} ${index} ${verb}`, (model) => model.fault(index, verb, FAULTS[how]())),
  );

function keysOf<T extends object>(object: T): (keyof T)[] {
  return Object.keys(object) as (keyof T)[];
}

/** So many of each of the more frequent ones. */
const calm = [
  { weight: 5, arbitrary: call },
  { weight: 4, arbitrary: finish },
  { weight: 1, arbitrary: step },
  { weight: 3, arbitrary: pass },
];
const rough = [pause, wake, crash, jump].map((arbitrary) => ({ weight: 1, arbitrary }));

async function play(actions: readonly Action[], check: (model: Model) => void): Promise<void> {
  const model = new Model(PROCESSES);
  for (const action of actions) {
    await action(model);
    check(model);
  }
  await model.end();
}

test.each([
  ['crashes, pauses and jumping clocks', [...calm, ...rough]],
  ['a failing store as well', [...calm, ...rough, { weight: 4, arbitrary: fault }]],
])(
  'one owner, one reply, nobody stuck, whatever the order of calls, with %s',
  async (_with, weighted) => {
    const actions = fc.array(fc.oneof(...weighted), { maxLength: LONGEST, size: 'max' });
    await fc.assert(
      fc.asyncProperty(actions, (each) => play(each, () => {})),
      { numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);

test(
  'without crashes, pauses and failures no two handlers of a key run at once',
  async () => {
    const actions = fc.array(fc.oneof(...calm), { maxLength: LONGEST, size: 'max' });
    const expectOneHandler = (model: Model): void => {
      for (const key of KEYS) expect(model.handlersOf(key)).toBeLessThanOrEqual(1);
    };
    await fc.assert(
      fc.asyncProperty(actions, (each) => play(each, expectOneHandler)),
      { numRuns: RUNS },
    );
  },
  TIMEOUT_MS,
);
