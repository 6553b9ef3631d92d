import type { Browser } from 'playwright-core';
import type { ShopProcess } from '../../../sample-app/show/demo/shop-process.js';
import { openShop, OPENING_MS } from '../../sample/support/shop.js';
import { freePort } from '../../support/servers/private-server.js';
import { startChromium } from './browser.js';
import { ShopPage } from './shop-page.js';

const BANNER = 'No connection to the shop';

/** What the page shows when its shop on this adapter is killed, and another one opens. */
export function describeReconnection(http: 'express' | 'fastify'): void {
  describe(`the page when the shop on ${http} comes and goes`, () => {
    let browser: Browser;
    let shop: ShopProcess | undefined;
    let page: ShopPage;

    beforeAll(async () => {
      browser = await startChromium();
    }, OPENING_MS);
    afterAll(async () => {
      await page?.close();
      await browser?.close();
      await shop?.stop();
    });

    it(
      'says that it is gone, finds the next one, and begins anew with it',
      async () => {
        const env = { HTTP: http, PORT: String(await freePort()) };
        shop = await openShop(env);
        page = await ShopPage.open(browser, shop.url);
        await page.choose('Pay for an order');
        expect(await page.press('Pay')).toEqual({ sent: 1, ran: 1 });

        await shop.stop('SIGKILL');
        const banner = page.page.getByRole('status').filter({ hasText: BANNER });
        await banner.waitFor();

        shop = await openShop(env);
        await banner.waitFor({ state: 'detached' });
        await page.page.getByText('No handler has run yet.').waitFor();
        await page.page.getByText('Nothing has been sent yet.').waitFor();
        expect(await page.press('Pay')).toEqual({ sent: 1, ran: 1 });
      },
      3 * OPENING_MS,
    );
  });
}
