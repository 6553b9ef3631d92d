import { type CanActivate, Controller, type ExecutionContext, Post } from '@nestjs/common';
import { jest } from '@jest/globals';
import { Idempotent, MemoryStore } from 'nestjs-idempotency';
import { IdempotencyAdminModule } from 'nestjs-idempotency/admin';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { CreateIdempotencyRecords1763700000000, TypeOrmStore } from 'nestjs-idempotency/typeorm';
import { boot, PLATFORMS, type TestApp } from '../support/http.js';
import { SQLITE } from '../support/sql-databases.js';
import { PATIENCE_MS, startChromium } from './support/browser.js';

jest.setTimeout(PATIENCE_MS);

const LABEL = `<img src=x onerror="document.title='stolen'">`;

class OperatorsGuard implements CanActivate {
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return request.headers['x-operator'] === 'yes';
  }
}

@Controller()
class Payments {
  @Idempotent({ onError: 'hold', label: () => LABEL })
  @Post('payments')
  pay(): never {
    throw new Error('the provider did not answer');
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

describe.each(PLATFORMS)('the page for operators in a browser, on %s', (platform) => {
  let test: TestApp;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const problems: string[] = [];

  beforeAll(async () => {
    test = await boot(platform, {
      controllers: [Payments],
      idempotency: { store: new MemoryStore() },
      imports: [IdempotencyAdminModule.register({ guards: [OperatorsGuard] })],
    });
    browser = await startChromium();
    context = await browser.newContext({ extraHTTPHeaders: { 'x-operator': 'yes' } });
    page = await context.newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(String(error)));
  });
  afterAll(async () => {
    await browser.close();
    await test.close();
  });

  it('leads from a held payment to its settlement, and the retry gets the settled reply', async () => {
    expect((await test.send('/payments', { key: 'k1' })).status).toBe(500);
    expect((await test.send('/payments', { key: 'k1' })).status).toBe(409);
    await page.goto(`http://127.0.0.1:${test.port}/idempotency/admin`);
    await page.getByRole('button', { name: /^Show/ }).click();
    const story = page.getByRole('dialog');
    await story.getByText('Error: the provider did not answer').waitFor();
    await story.getByLabel('Status').fill('201');
    await story.getByLabel('Reply (JSON)').fill('{"id":');
    await story.getByLabel('Your name').fill('anna');
    await story.getByLabel('Reason').fill('the provider says: paid');
    await story.getByRole('button', { name: 'Settle' }).click();
    await story.getByText('The reply must be JSON').waitFor();
    await story.getByLabel('Reply (JSON)').fill('{"id":7}');
    await story.getByRole('button', { name: 'Settle' }).click();
    await story.getByText('completed').waitFor();
    await story.getByText('anna', { exact: true }).waitFor();
    await story.getByRole('button', { name: 'Close' }).click();
    await page.getByText('Nothing on this page.').waitFor();
    const retry = await test.send('/payments', { key: 'k1' });
    expect([retry.status, retry.json()]).toEqual([201, { id: 7 }]);
  });

  it('shows what an application puts into a record as text, and runs nothing of it', async () => {
    await test.send('/payments', { key: 'k2' });
    await page.getByRole('button', { name: 'List' }).click();
    await page.getByRole('cell', { name: LABEL, exact: true }).waitFor();
    expect(await page.locator('td img').count()).toBe(0);
    expect(await page.title()).toBe('Operations that wait');
    expect(problems).toEqual([]);
  });
});

it('settles what another data source has, once that is chosen', async () => {
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
  const browser = await startChromium();
  try {
    const context = await browser.newContext({ extraHTTPHeaders: { 'x-operator': 'yes' } });
    const page = await context.newPage();
    expect((await test.send('/orders', { key: 'k1' })).status).toBe(500);
    await page.goto(`http://127.0.0.1:${test.port}/idempotency/admin`);
    await page.getByText('Nothing on this page.').waitFor();
    await page.getByLabel('Data source').selectOption('orders');
    await page.getByRole('button', { name: 'List' }).click();
    await page.getByRole('button', { name: /^Show/ }).click();
    const story = page.getByRole('dialog');
    await story.getByLabel('What happened').selectOption('release');
    await story.getByLabel('Your name').fill('anna');
    await story.getByLabel('Reason').fill('not done');
    await story.getByRole('button', { name: 'Settle' }).click();
    await story.getByText('released').waitFor();
  } finally {
    await browser.close();
    await test.close();
    await database.stop();
  }
});
