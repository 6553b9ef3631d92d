import type { Browser } from 'playwright-core';
import type { ShopProcess } from '../../sample-app/show/demo/shop-process.js';
import { openShop, OPENING_MS } from '../sample/support/shop.js';
import { freePort } from '../support/servers/private-server.js';
import { startChromium } from './support/browser.js';
import { ShopPage } from './support/shop-page.js';

const BANNER = 'No connection to the shop';

describe.each(['express', 'fastify'])('the page when the shop on %s comes and goes', (http) => {
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
      await banner.waitFor({ state: 'detached', timeout: 30_000 });
      await page.page.getByText('No handler has run yet.').waitFor();
      await page.page.getByText('Nothing has been sent yet.').waitFor();
      expect(await page.press('Pay')).toEqual({ sent: 1, ran: 1 });
    },
    2 * OPENING_MS,
  );
});
