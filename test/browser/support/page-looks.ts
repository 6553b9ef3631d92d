import type { Browser } from 'playwright-core';
import type { ShopProcess } from '../../../sample-app/show/demo/shop-process.js';
import { openShopOnServer, OPENING_MS } from '../../sample/support/shop.js';
import { startChromium } from './browser.js';
import {
  lowContrast,
  namelessControls,
  reachesBeyond,
  skippedControls,
  tooSmall,
} from './looks.js';
import { ShopPage } from './shop-page.js';

const DESKTOP = { viewport: { width: 1440, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true };
/** What a visitor may look with. */
export const LOOKS = {
  'a desktop, light': { ...DESKTOP, colorScheme: 'light' },
  'a desktop, dark': { ...DESKTOP, colorScheme: 'dark' },
  'a phone, light': { ...PHONE, colorScheme: 'light' },
  'a phone, dark': { ...PHONE, colorScheme: 'dark' },
} as const;
type Look = (typeof LOOKS)[keyof typeof LOOKS];

export function describeLooks(...names: readonly (keyof typeof LOOKS)[]): void {
  const looks = names.map((name) => [name, LOOKS[name]] as const);

  describe('the page', () => {
    let browser: Browser;
    let shop: ShopProcess;
    let page: ShopPage;

    beforeAll(async () => {
      [browser, shop] = await Promise.all([startChromium(), openShopOnServer({ STORE: 'memory' })]);
    }, OPENING_MS);
    afterAll(async () => {
      await browser?.close();
      await shop?.stop();
    });
    afterEach(() => page?.close());

    it.each(looks)('is readable on %s before anything has happened', async (_name, look) => {
      page = await ShopPage.open(browser, shop.url, look);
      await page.page.getByText('No handler has run yet.').waitFor();
      await page.page.getByText('Nothing has been sent yet.').waitFor();
      await expectReadable(look);
    });

    it.each(looks)('is readable on %s with every scenario and kind of bar', async (_name, look) => {
      page = await ShopPage.open(browser, shop.url, look);
      await page.choose('Fail twice, then work');
      await page.press('Try until it works, and once more');
      await page.choose('A number used again');
      await page.press('Pay 40, then 90, then 40');
      await page.page.locator('.call').first().click();
      await expectReadable(look);

      const titles = await page.page.locator('#scenarios a').allTextContents();
      expect(titles.length).toBeGreaterThanOrEqual(15);
      for (const title of titles) {
        await page.choose(title);
        await expectReadable(look);
      }
    });

    async function expectReadable(look: Look): Promise<void> {
      expect({
        beyond: await page.page.evaluate(reachesBeyond),
        nameless: await page.page.evaluate(namelessControls),
        contrast: await page.page.evaluate(lowContrast),
        skipped: await page.page.evaluate(skippedControls),
        small: 'isMobile' in look ? await page.page.evaluate(tooSmall) : [],
      }).toEqual({ beyond: [], nameless: [], contrast: [], skipped: [], small: [] });
    }
  });
}
