import { Body, Controller, Post } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Idempotent, IdempotencyModule, MemoryStore } from 'nestjs-idempotency';
import { FaultInjectingStore, pass } from 'nestjs-idempotency/testing';
import { createHook } from 'node:async_hooks';

const CALLS = 50;
/** Calls after which what is made once has been made. */
const WARM_UP = 20;

@Controller()
class Orders {
  @Post('protected')
  @Idempotent()
  protected(@Body() order: object): object {
    return { id: 1, ...order };
  }
}

describe('a call', () => {
  let app: NestFastifyApplication;
  let keys = 0;

  async function open(store: FaultInjectingStore): Promise<void> {
    const module = await Test.createTestingModule({
      imports: [IdempotencyModule.forRoot({ store, principal: () => 'alice' })],
      controllers: [Orders],
    }).compile();
    app = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
    await app.init();
    await app.getHttpAdapter().getInstance().ready();
  }

  afterEach(() => app.close());

  async function send(url: string, key: string): Promise<string> {
    const reply = await app.inject({
      method: 'POST',
      url,
      headers: { 'idempotency-key': key },
      payload: { sku: 'tea', quantity: 3 },
    });
    return `${reply.statusCode} ${String(reply.headers['idempotent-replayed'] ?? 'new')}`;
  }

  async function repeat(calls: number, url: string, key: () => string): Promise<Set<string>> {
    const told = new Set<string>();
    for (let i = 0; i < calls; i++) told.add(await send(url, key()));
    return told;
  }

  const newKey = (): string => `key-${(keys += 1)}`;

  it('makes no timer, however the store answers, and two contexts for a first call', async () => {
    const answersLater = new FaultInjectingStore(new MemoryStore());
    for (const verb of ['acquire', 'complete'] as const) answersLater.always(verb, pass);
    await open(answersLater);
    await repeat(WARM_UP, '/protected', newKey);
    const made: Record<string, number> = {};
    const hook = createHook({
      init: (_id, type) => void (made[type] = (made[type] ?? 0) + 1),
    }).enable();
    expect(await repeat(CALLS, '/protected', newKey)).toEqual(new Set(['201 new']));
    hook.disable();
    // The one timer of the process may be set anew.
    expect(made['Timeout'] ?? 0).toBeLessThan(CALLS / 10);
    expect(made['IdempotencyInterceptor']).toBe(CALLS);
    expect(made['IdempotencyLease']).toBe(CALLS);
  });
});
