import type { Fault } from '../fault.js';

const SWEEP_TEST = 'test/service/sweep.test.ts';
const LATE_TEST = 'test/http/late-retries.test.ts';

const ADMIN_TEST = 'test/service/admin.test.ts';

/** What happens without a call, or after its record is gone. */
export const OPERATOR_FAULTS: readonly Fault[] = [
  {
    name: 'sweep: every process asks at once',
    breaks: ['design 7.7'],
    file: 'src/operators/sweep.ts',
    find: "if (result.outcome !== 'acquired') return false;",
    put: '',
    tests: [[SWEEP_TEST, 'one process at a time']],
  },
  {
    name: 'sweep: an owner that was paused for a moment is superseded',
    breaks: ['design 7.7'],
    file: 'src/idempotency.sweep.ts',
    find: 'if (leaseRemainingMs > -policy.leaseMs) return undefined;',
    put: 'if (leaseRemainingMs > 0) return undefined;',
    tests: [[SWEEP_TEST, 'leaves alone']],
  },
  {
    name: 'sweep: a question that failed keeps its lease, and the retry out',
    breaks: ['design 7.7'],
    file: 'src/engine/abandoned.ts',
    find: 'await this.endLease(request, owner);',
    put: '',
    tests: [[SWEEP_TEST, 'leaves an operation to its retry']],
  },
  {
    name: 'sweep: what is only released is settled as if it were abandoned',
    breaks: ['design 7.7', 'guarantee 6'],
    file: 'src/engine/abandoned.ts',
    find: 'if (takenOver === undefined) {',
    put: 'if (claim === undefined) {',
    tests: [[SWEEP_TEST, 'loses no step']],
  },
  {
    name: 'sweep: a question uses up the last attempt',
    breaks: ['design 7.7', 'S26'],
    file: 'src/idempotency.sweep.ts',
    find: 'if (isAsked && policy.maxAttempts?.times === attempt + 1) return undefined;',
    put: '',
    tests: [[SWEEP_TEST, 'does not use up']],
  },
  {
    name: 'a retry runs although its record is gone',
    breaks: ['S28'],
    file: 'src/calls/operations.ts',
    find: 'return { ...request, leastTtlMs: keepForMs, ...late };',
    put: 'return { ...request, leastTtlMs: keepForMs };',
    tests: [[LATE_TEST, 'express .*refused by the time']],
  },
  {
    name: 'a record is gone before its key is too old',
    breaks: ['S28'],
    file: 'src/calls/operations.ts',
    find: 'return { ...request, leastTtlMs: keepForMs, ...late };',
    put: 'return { ...request, ...late };',
    tests: [[LATE_TEST, 'express .*finds its record']],
  },
  {
    name: 'a key from the future is good for longer than its record',
    breaks: ['S28'],
    file: 'src/calls/operations.ts',
    find: 'if (ageMs < -aheadMs)',
    put: 'if (ageMs < -Infinity)',
    tests: [[LATE_TEST, 'express .*from the future']],
  },
  {
    name: 'admin: a page of another origin can settle operations',
    breaks: ['design 7.7', 'S25'],
    file: 'src/admin/admin.controller.ts',
    find: 'if (headers[ADMIN_HEADER.toLowerCase()] !== undefined) return;',
    put: 'if (headers !== undefined) return;',
    tests: [[ADMIN_TEST, 'express changes nothing for a page']],
  },
  {
    name: 'admin: a name in the body counts for more than who is signed in',
    breaks: ['design 7.7', 'S25'],
    file: 'src/admin/admin.controller.ts',
    find: "const by = (await this.nameOf(request)) ?? textOf(given, 'by') ?? '';",
    put: "const by = textOf(given, 'by') ?? (await this.nameOf(request)) ?? '';",
    tests: [[ADMIN_TEST, 'express lists, shows']],
  },
  {
    name: 'admin: it can be registered without a guard',
    breaks: ['design 7.7', 'S25'],
    file: 'src/admin/admin.module.ts',
    find: 'guards.length === 0 || ',
    put: '',
    tests: [[ADMIN_TEST, 'does not boot with no guards']],
  },
  {
    name: 'settling what a retry has released loses its steps',
    breaks: ['guarantee 6', 'design 7.7'],
    file: 'src/operators/operator-records.ts',
    find: "await this.around.ask('release', () => place.release({ id, owner, ttlMs }));",
    put: "await this.around.ask('release', () => place.release({ id, owner, ttlMs: 1 }));",
    tests: [['test/service/operators.test.ts', 'lose no step']],
  },
];
