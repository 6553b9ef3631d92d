import type { Browser } from 'playwright-core';
import type { ShopProcess } from '../../sample-app/show/demo/shop-process.js';
import { openShop, OPENING_MS } from '../sample/support/shop.js';
import { startChromium } from './support/browser.js';
import { lowContrast, namelessControls, reachesBeyond, tooSmall } from './support/looks.js';
import { ShopPage } from './support/shop-page.js';

const DESKTOP = { viewport: { width: 1440, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };

describe.each([
  ['a desktop, light', { ...DESKTOP, colorScheme: 'light' }],
  ['a desktop, dark', { ...DESKTOP, colorScheme: 'dark' }],
  ['a phone, light', { ...PHONE, colorScheme: 'light' }],
  ['a phone, dark', { ...PHONE, colorScheme: 'dark' }],
] as const)('the page on %s', (_name, options) => {
  let browser: Browser;
  let shop: ShopProcess;
  let page: ShopPage;

  beforeAll(async () => {
    [browser, shop] = await Promise.all([startChromium(), openShop({ STORE: 'memory' })]);
    page = await ShopPage.open(browser, shop.url, options);
  }, OPENING_MS);
  afterAll(async () => {
    await page?.close();
    await browser?.close();
    await shop?.stop();
  });

  it('is readable and complete before anything has happened', async () => {
    await page.page.getByText('No handler has run yet.').waitFor();
    await page.page.getByText('Nothing has been sent yet.').waitFor();
    await expectReadable();
  });

  it('is readable with every kind of bar', async () => {
    await page.choose('Fail twice, then work');
    await page.press('Try until it works, and once more');
    await page.choose('A number used again');
    await page.press('Pay 40, then 90, then 40');
    await page.page.locator('.call').first().click();
    await expectReadable();
  });

  it('shows every scenario whole', async () => {
    const titles = await page.page.locator('#scenarios a').allTextContents();
    expect(titles.length).toBeGreaterThanOrEqual(15);
    for (const title of titles) {
      await page.choose(title);
      await expectReadable();
    }
  });

  async function expectReadable(): Promise<void> {
    expect({
      beyond: await page.page.evaluate(reachesBeyond),
      nameless: await page.page.evaluate(namelessControls),
      contrast: await page.page.evaluate(lowContrast),
      small: 'isMobile' in options ? await page.page.evaluate(tooSmall) : [],
    }).toEqual({ beyond: [], nameless: [], contrast: [], small: [] });
  }
});
