import { Test } from '@nestjs/testing';
import { IdempotencyModule, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore, pass } from 'nestjs-idempotency/testing';
import { createHook } from 'node:async_hooks';
import { MeasuredApp } from './cost.js';

const CALLS = 50;
/** Calls after which what is made once has been made. */
const WARM_UP = 20;

describe('a call', () => {
  let app: MeasuredApp;

  afterEach(() => app.close());

  it('makes no timer, however the store answers, and two contexts for a first call', async () => {
    const answersLater = new FaultInjectingStore(new MemoryStore());
    for (const verb of ['acquire', 'complete'] as const) answersLater.always(verb, pass);
    app = await MeasuredApp.open(answersLater);
    await app.repeat(WARM_UP, '/protected', app.newKey);
    const made: Record<string, number> = {};
    const hook = createHook({
      init: (_id, type) => void (made[type] = (made[type] ?? 0) + 1),
    }).enable();
    expect(await app.repeat(CALLS, '/protected', app.newKey)).toEqual(new Set(['201 new']));
    hook.disable();
    // The one timer of the process may be set anew.
    expect(made['Timeout'] ?? 0).toBeLessThan(CALLS / 10);
    expect(made['IdempotencyInterceptor']).toBe(CALLS);
    expect(made['IdempotencyLease']).toBe(CALLS);
  });
});

describe('run() in memory', () => {
  it('needs no timer, and no promise for what a call does not use', async () => {
    const imports = [IdempotencyModule.forRoot({ store: new MemoryStore() })];
    const module = await Test.createTestingModule({ imports }).compile();
    await module.init();
    const service = module.get(IdempotencyService);
    let work = 0;
    const repeat = async (calls: number, key: (call: number) => string): Promise<void> => {
      for (let call = 0; call < calls; call++)
        await service.run({ scope: 'cost', key: key(call) }, () => (work += 1));
    };
    await repeat(WARM_UP, (call) => `warm-${call}`);
    const made: Record<string, number> = {};
    const hook = createHook({
      init: (_id, type) => void (made[type] = (made[type] ?? 0) + 1),
    });
    const promisesOf = async (key: (call: number) => string): Promise<number> => {
      made['PROMISE'] = 0;
      hook.enable();
      await repeat(CALLS, key);
      hook.disable();
      return Math.round(made['PROMISE'] / CALLS);
    };
    expect(await promisesOf((call) => `new-${call}`)).toBeLessThanOrEqual(14);
    expect(work).toBe(WARM_UP + CALLS);
    expect(await promisesOf(() => 'new-0')).toBeLessThanOrEqual(8);
    expect(work).toBe(WARM_UP + CALLS);
    expect(made['Timeout'] ?? 0).toBeLessThan(CALLS / 10);
    await module.close();
  });
});
