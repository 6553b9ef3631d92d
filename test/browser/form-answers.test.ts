import type { Browser, BrowserContext, Page } from 'playwright-core';
import { Shop } from '../client/support/shop.js';
import { boot, type TestApp } from '../support/http.js';
import { startChromium } from './support/browser.js';
import { PageController } from './support/page.controller.js';

describe('the client in Chromium', () => {
  let browser: Browser;
  let test: TestApp;
  let context: BrowserContext;
  let page: Page;

  beforeAll(async () => {
    browser = await startChromium();
    test = await boot('express', { controllers: [Shop, PageController] });
  }, 180_000);
  afterAll(async () => {
    await browser?.close();
    await test?.close();
  });
  beforeEach(async () => {
    Shop.empty();
    Shop.gate.open();
    PageController.keys = [];
    context = await browser.newContext({ baseURL: `http://127.0.0.1:${test.port}` });
    page = await context.newPage();
  });
  afterEach(() => context.close());

  async function order(url: string): Promise<void> {
    await page.goto(`${url.startsWith('http') ? '' : '/page?plain&url='}${url}`);
    await page.fill('[name=sku]', 'pen');
    await page.click('text=Order');
  }

  it('shows below a form why it was refused', async () => {
    await order('/refused');
    const reason = page.getByText('This did not work. Pens are sold out.');
    await reason.waitFor({ state: 'visible' });
    expect((await reason.boundingBox())!.height).toBeGreaterThan(5);
    // What was filled in is still there to be corrected.
    expect(await page.inputValue('[name=sku]')).toBe('pen');
  });

  it('goes where a form is redirected to', async () => {
    await order('/redirected');
    await page.waitForURL('**/elsewhere');
    expect(await page.title()).toBe('Elsewhere');
  });

  it('orders once from a page without TLS', async () => {
    await page.goto(`http://shop.test:${test.port}/page`);
    expect(await page.evaluate('[isSecureContext, typeof crypto.subtle]')).toEqual([
      false,
      'undefined',
    ]);
    await page.fill('[name=sku]', 'pen');
    await page.dblclick('text=Order');
    await page.waitForFunction("document.querySelector('#result').value !== ''");
    expect(Shop.effects).toEqual([{ sku: 'pen' }]);
  });

  it('repeats with one key, in a service worker, what a page sends by fetch', async () => {
    await page.goto('/page');
    await page.evaluate(`navigator.serviceWorker
      .register('/worker.js', { type: 'module' })
      .then(() => navigator.serviceWorker.ready)
      .then(() => navigator.serviceWorker.controller ??
        new Promise((resolve) => (navigator.serviceWorker.oncontrollerchange = resolve)))
      .then(() => true)`);
    const keys = (await page.evaluate(
      "fetch('/lost', { method: 'POST' }).then((response) => response.json())",
    )) as string[];
    expect(keys).toHaveLength(2);
    expect(keys[0]).toMatch(/^[\da-f-]{36}$/);
    expect(keys[1]).toBe(keys[0]);
  });
});
