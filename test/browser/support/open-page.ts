import type { Browser } from 'playwright-core';
import type { ShopProcess } from '../../../sample-app/show/demo/shop-process.js';
import type { Effects } from '../../../sample-app/show/effects/effects.js';
import { openShopOnServer, OPENING_MS } from '../../sample/support/shop.js';
import { eventually } from '../../support/http.js';
import { PATIENCE_MS, startChromium } from './browser.js';
import { type Result, ShopPage } from './shop-page.js';

/** One shop and one browser for the tests of a file, and the page anew for each of them. */
export class OpenPage {
  private browser: Browser | undefined;
  private shop: ShopProcess | undefined;
  private current: ShopPage | undefined;

  /** For the top of a `describe`. */
  static forEach(): OpenPage {
    const open = new OpenPage();
    beforeAll(async () => {
      [open.browser, open.shop] = await Promise.all([startChromium(), openShopOnServer({})]);
    }, OPENING_MS);
    afterAll(async () => {
      await open.browser?.close();
      await open.shop?.stop();
    }, PATIENCE_MS);
    beforeEach(async () => {
      open.current = await ShopPage.open(open.browser!, open.shop!.url);
    }, PATIENCE_MS);
    afterEach(() => open.current?.close(), PATIENCE_MS);
    return open;
  }

  get page(): ShopPage {
    return this.current!;
  }
}

/** The result, after comparing it with what the shop counted itself. */
export async function compared(
  { page }: OpenPage,
  route: keyof Effects,
  act: () => Promise<Result>,
): Promise<Result> {
  const before = await page.visitor.effects();
  const result = await act();
  const after = await page.visitor.effects();
  expect(after[route] - before[route]).toBe(result.ran);
  const shown = page.page.locator(`[data-name="${route}"] output`);
  await eventually(async () => (await shown.textContent()) === String(after[route]), PATIENCE_MS);
  return result;
}
