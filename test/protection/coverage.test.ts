import { Controller, Get, Injectable, Post, Put } from '@nestjs/common';
import { EventPattern } from '@nestjs/microservices';
import {
  arg,
  header,
  IdempotencyService,
  Idempotent,
  payload,
  SkipIdempotency,
} from 'nestjs-idempotency';
import { assertCovered } from 'nestjs-idempotency/testing';
import { boot, bootError, type TestApp } from '../support/http.js';

@Controller('payments')
class Payments {
  @Get()
  list(): void {}

  @Idempotent()
  @Idempotent({ strategy: 'lock', key: header('X-Account') })
  @Post()
  pay(): void {}

  @Put(':id')
  change(): void {}

  @SkipIdempotency()
  @Post('search')
  search(): void {}

  @Idempotent({ key: payload('id') })
  @EventPattern('paid')
  paid(_order: unknown): void {}

  @EventPattern('refunded')
  refunded(_order: unknown): void {}
}

@Idempotent()
@Controller('orders')
class Orders {
  @Post()
  order(): number {
    return 1;
  }

  @SkipIdempotency()
  @Post('preview')
  preview(): number {
    return 1;
  }
}

@SkipIdempotency()
@Controller('hooks')
class Hooks {
  @Post()
  hook(): void {}
}

@Injectable()
class Invoices {
  @Idempotent({ key: arg(0), scope: 'invoices' })
  send(_id: string): void {}

  other(): void {}
}

const SHOP = { controllers: [Payments, Orders, Hooks], providers: [Invoices] };
const UNPROTECTED = ['Payments.change', 'Payments.refunded'];

let test: TestApp | undefined;
afterEach(async () => {
  await test?.close();
  test = undefined;
});

it('lists what is protected, what is not meant to be, and what nobody has decided on', async () => {
  test = await boot('express', { ...SHOP, configure: (app) => app.setGlobalPrefix('api') });
  const coverage = test.app.get(IdempotencyService).coverage();
  const byName = new Map(coverage.map((entry) => [`${entry.kind} ${entry.name}`, entry]));
  expect(byName.size).toBe(coverage.length);
  expect(Object.fromEntries(byName)).toEqual({
    'route Payments.pay': entry('idempotent', ['POST /api/payments'], ['unique-key', 'lock']),
    'route Orders.order': entry('idempotent', ['POST /api/orders'], ['unique-key']),
    'message Payments.paid': entry('idempotent', ['paid Payments.paid'], ['unique-key']),
    'method Invoices.send': entry('idempotent', ['invoices'], ['unique-key']),
    'route Payments.change': entry('none', ['PUT /api/payments/:id'], []),
    'route Payments.search': entry('skipped', ['POST /api/payments/search'], []),
    'route Orders.preview': entry('skipped', ['POST /api/orders/preview'], []),
    'message Payments.refunded': entry('none', ['refunded Payments.refunded'], []),
    'route Hooks.hook': entry('skipped', ['POST /api/hooks'], []),
  });

  function entry(protection: string, scopes: string[], strategies: string[]): object {
    return expect.objectContaining({ protection, scopes, strategies }) as object;
  }
});

it('runs a skipped handler as often as it is called', async () => {
  test = await boot('express', SHOP);
  const first = await test.send('/orders/preview', { key: 'k' });
  const second = await test.send('/orders/preview', { key: 'k' });
  expect([first.status, second.status]).toEqual([201, 201]);
  expect(second.headers).not.toHaveProperty('idempotent-replayed');
});

describe('at boot', () => {
  it('is nobody’s concern by default', async () => {
    test = await boot('express', SHOP);
    expect(test.complaints).toEqual([]);
  });

  it('is a warning where it is asked for', async () => {
    test = await boot('express', { ...SHOP, idempotency: { coverage: 'log' } });
    expect(test.complaints).toHaveLength(1);
    for (const name of UNPROTECTED) expect(test.complaints[0]).toContain(name);
    expect(test.complaints[0]).not.toMatch(/search|hook|preview/);
  });

  it('stops the application where it must', async () => {
    const error = await bootError('express', { ...SHOP, idempotency: { coverage: 'error' } });
    for (const name of UNPROTECTED) expect(error.message).toContain(name);
    expect(error.message).toContain('@SkipIdempotency()');
  });

  it('is one of three words', async () => {
    const error = await bootError('express', {
      ...SHOP,
      idempotency: { coverage: 'warn' as 'log' },
    });
    expect(error.message).toContain("'off', 'log', 'error'");
  });
});

it('is what a test asserts', async () => {
  test = await boot('express', SHOP);
  const service = test.app.get(IdempotencyService);
  expect(() => assertCovered(service)).toThrow(/Payments\.change \(PUT \/payments\/:id\)/);
  expect(() => assertCovered(service, { except: ['PUT /payments/:id'] })).toThrow(/refunded/);
  assertCovered(service, { except: ['PUT /payments/:id', 'Payments.refunded'] });
  expect(() => assertCovered(service, { except: ['POST /gone'] })).toThrow(/POST \/gone/);
});
