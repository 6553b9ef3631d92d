import { Controller, Post } from '@nestjs/common';
import {
  type IdempotentCall,
  IdempotencyService,
  Idempotent,
  MemoryStore,
} from 'nestjs-idempotency';
import { ManualClock } from 'nestjs-idempotency/testing';
import { boot, bootError, expectProblem, type TestApp } from '../support/http.js';

let runs = 0;

function askedFor({ request }: IdempotentCall): `${number}s` {
  const asked = request?.headers['x-keep'];
  if (asked === 'forever') throw new Error('nobody knows how long that is');
  return `${Number(asked)}s`;
}

@Controller()
class Orders {
  @Idempotent({ ttl: askedFor })
  @Post('at-once')
  atOnce(): unknown {
    return { run: (runs += 1) };
  }

  @Idempotent({ ttl: (call) => Promise.resolve(askedFor(call)) })
  @Post('later')
  later(): unknown {
    return { run: (runs += 1) };
  }
}

describe.each(['/at-once', '/later'])('a ttl that depends on the call (%s)', (path) => {
  const clock = new ManualClock();
  let shop: TestApp;

  beforeAll(async () => {
    const idempotency = { store: new MemoryStore({ clock }) };
    shop = await boot('fastify', { controllers: [Orders], idempotency });
  });

  afterAll(() => shop.close());

  const order = (keep: string, key = `kept for ${keep}`) =>
    shop.send(path, { key, headers: { 'x-keep': keep }, body: {} });

  it('keeps each record as long as its call was told', async () => {
    const first = [await order('5'), await order('60')];
    await clock.advance(5_000);
    const again = [await order('5'), await order('60')];
    expect(again.map(({ headers }) => headers['idempotent-replayed'])).toEqual([undefined, 'true']);
    expect(again[1]!.text).toBe(first[1]!.text);
  });

  it.each(['forever', 'soon', '-1'])('runs nothing when there is none: %s', async (keep) => {
    const before = runs;
    expectProblem(await order(keep), 500, 'IDEMPOTENCY_NOT_PROTECTED');
    expect(runs).toBe(before);
    const view = await shop.app
      .get(IdempotencyService)
      .find({ scope: `POST ${path}`, key: `kept for ${keep}` });
    expect(view).toBeUndefined();
  });
});

it('is not taken where there is no call to ask about', async () => {
  const ttl = askedFor as never;
  const inDefaults = { controllers: [Orders], idempotency: { defaults: { ttl } } };
  expect(await bootError('fastify', inDefaults)).toMatchObject({
    problem: { option: 'defaults.ttl' },
  });
  const shop = await boot('fastify', { controllers: [Orders] });
  const run = shop.app.get(IdempotencyService).run({ scope: 'run', key: 'one', ttl }, () => 'ran');
  await expect(run).rejects.toThrow('ttl of IdempotencyService.run()');
  await shop.close();
});
