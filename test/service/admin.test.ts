import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Injectable,
  Post,
} from '@nestjs/common';
import { Idempotent, IdempotencyService, MemoryStore } from 'nestjs-idempotency';
import { type AdminOptions, IdempotencyAdminModule } from 'nestjs-idempotency/admin';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { createHash } from 'node:crypto';
import { boot, PLATFORMS, type RequestOptions, type TestApp } from '../support/http.js';
import { SQLITE } from '../support/sql-databases.js';

interface OperatorRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
  user?: { readonly id: string };
}

@Injectable()
class OperatorsGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<OperatorRequest>();
    const [kind, name] = (request.headers['authorization'] ?? '').split(' ');
    if (kind !== 'Operator' || name === undefined) return false;
    if (name !== 'somebody') request.user = { id: name };
    return true;
  }
}

@Controller()
class Payments {
  @Idempotent({ onError: 'hold', label: () => '<img src=x onerror=alert(1)>' })
  @Post('payments')
  pay(): never {
    throw new Error('no answer');
  }
}

@Controller()
class Orders {
  @Idempotent({ onError: 'hold', transaction: 'orders' })
  @Post('orders')
  order(): never {
    throw new Error('no answer');
  }
}

describe.each(PLATFORMS)('the page for operators on %s', (platform) => {
  let test: TestApp;

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Payments],
      // Its own routes need no protection.
      idempotency: { store: new MemoryStore(), coverage: 'error' },
      imports: [IdempotencyAdminModule.register({ guards: [OperatorsGuard] })],
    });
  });
  afterAll(() => test.close());

  const ask = (path: string, options: RequestOptions & { as?: string } = {}) =>
    test.send(`/idempotency/admin${path}`, {
      method: 'GET',
      ...options,
      headers: {
        ...(options.as !== undefined && { authorization: `Operator ${options.as}` }),
        ...options.headers,
      },
    });
  const settle = (id: string, body: object, headers = { 'x-idempotency-admin': '1' }) =>
    ask(`/records/${id}/settle`, { method: 'POST', as: 'anna', headers, body });

  async function held(): Promise<string> {
    const key = Math.random().toString(36);
    await test.send('/payments', { key });
    const { records } = (await ask('/records', { as: 'anna' })).json() as {
      records: { id: string }[];
    };
    return records.at(-1)!.id;
  }

  it.each(['', '/records', '/operator', `/records/${'a'.repeat(64)}`])(
    'shows nothing to anybody else: %j',
    async (path) => expect((await ask(path)).status).toBe(403),
  );

  it('is a page without anything from elsewhere, whose policy names its own parts', async () => {
    const page = await ask('', { as: 'anna' });
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['cache-control']).toBe('no-store');
    const policy = String(page.headers['content-security-policy']);
    for (const name of ['script', 'style']) {
      const [, text] = new RegExp(`<${name}>([^]*)</${name}>`).exec(page.text)!;
      const hash = createHash('sha256').update(text!).digest('base64');
      expect(policy).toContain(`${name}-src 'sha256-${hash}'`);
    }
    expect(policy).toContain("default-src 'none'");
    expect(page.text).not.toMatch(/innerHTML|https?:|\son[a-z]+=/);
  });

  it('lists, shows and settles, and the record says who and why', async () => {
    const id = await held();
    const list = (await ask('/records?state=held&limit=1000', { as: 'anna' })).json();
    expect(list).toMatchObject({ records: [{ scope: 'POST /payments', state: 'held' }] });
    expect((await ask(`/records/${id}`, { as: 'anna' })).json()).toMatchObject({ id, attempt: 1 });
    const reason = 'the provider says: paid';
    const reply = { decision: 'reply', status: 201, value: { id: 7 }, reason, by: 'eve' };
    const settled = await settle(id, reply);
    expect(settled.status).toBe(200);
    // The guard knows better than the body.
    const settledBy = { by: 'anna', reason };
    expect(settled.json()).toMatchObject({ id, state: 'completed', settledBy });
    expect((await settle(id, reply)).status).toBe(409);
    const service = test.app.get(IdempotencyService);
    expect(await service.reply({ id })).toMatchObject({ kind: 'http', status: 201 });
  });

  it('takes a name from the page if the guard has none', async () => {
    const id = await held();
    const as = { as: 'somebody', method: 'POST', headers: { 'x-idempotency-admin': '1' } };
    const path = `/records/${id}/settle`;
    const release = { decision: 'release', reason: 'unknown to the provider' };
    expect((await ask('/operator', { as: 'somebody' })).json()).toEqual({ by: null });
    expect((await ask(path, { ...as, body: release })).status).toBe(400);
    const named = await ask(path, { ...as, body: { ...release, by: 'bert' } });
    expect(named.json()).toMatchObject({ state: 'released', settledBy: { by: 'bert' } });
    const forget = { ...as, body: { reason: 'test data', by: 'bert' } };
    expect((await ask(`/records/${id}/forget`, forget)).json()).toEqual({ id });
    expect((await ask(`/records/${id}`, { as: 'somebody' })).status).toBe(404);
  });

  it.each([
    ['a page of another origin', {}, {}, 403],
    ['no reason', { reason: '' }, undefined, 400],
    ['no decision', { decision: 'refund' }, undefined, 400],
    ['a status that HTTP does not have', { decision: 'reply', status: 99 }, undefined, 400],
  ])('changes nothing for %s', async (_what, body, headers, status) => {
    const id = await held();
    const given = { decision: 'release', reason: 'why', ...body };
    expect((await settle(id, given, headers as never)).status).toBe(status);
    expect((await ask(`/records/${id}`, { as: 'anna' })).json()).toMatchObject({ state: 'held' });
    await settle(id, { decision: 'release', reason: 'done' });
  });

  it.each(['?state=lost', '?limit=0', '?olderThan=long', '/k1'])(
    'refuses a wrong question: %s',
    async (path) => expect((await ask(`/records${path}`, { as: 'anna' })).status).toBe(400),
  );
});

it.each([
  ['no guards', { guards: [] }, 'guards'],
  ['no options', undefined, 'guards'],
  ['what is no guard', { guards: [Payments] }, 'guards'],
  ['an option that there is not', { guards: [OperatorsGuard], secret: 'x' }, 'secret'],
])('the page for operators does not boot with %s', (_what, options, option) => {
  expect(() => IdempotencyAdminModule.register(options as AdminOptions)).toThrow(
    `"${option} of IdempotencyAdminModule"`,
  );
});

it('the page for operators knows the data sources that a store names, and settles what they have', async () => {
  const database = await SQLITE.start();
  const migrations = [CreateIdempotencyRecords1763700000000];
  const [dataSource, orders] = await Promise.all(
    [1, 2].map(() => database.connect({ migrations, migrationsRun: true })),
  );
  const store = new TypeOrmStore({ dataSource: dataSource!, sources: { orders: orders! } });
  const test = await boot('express', {
    controllers: [Orders],
    idempotency: { store },
    imports: [IdempotencyAdminModule.register({ guards: [OperatorsGuard] })],
  });
  try {
    const ask = (path: string, options: Partial<RequestOptions> = {}) =>
      test.send(`/idempotency/admin${path}`, {
        method: 'GET',
        ...options,
        headers: { authorization: 'Operator anna', 'x-idempotency-admin': '1' },
      });
    expect((await ask('/operator')).json()).toEqual({ by: 'anna', sources: ['orders'] });
    expect((await test.send('/orders', { key: 'k1' })).status).toBe(500);
    expect((await ask('/records')).json()).toMatchObject({ records: [] });
    const { records } = (await ask('/records?source=orders')).json() as {
      records: { id: string }[];
    };
    expect(records).toHaveLength(1);
    const body = { decision: 'release', reason: 'not done', source: 'orders' };
    const settled = await ask(`/records/${records[0]!.id}/settle`, { method: 'POST', body });
    expect(settled.json()).toMatchObject({ state: 'released', settledBy: { by: 'anna' } });
  } finally {
    await test.close();
    await database.stop();
  }
});
