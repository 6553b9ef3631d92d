import type { Browser, BrowserContext, Page } from 'playwright-core';
import { openStore } from '../../processes/support/open-store.js';
import { Shop } from '../../client/support/shop.js';
import { ChildProgram, end, nextMessage } from '../../support/child-program.js';
import { boot, eventually, type TestApp } from '../../support/http.js';
import { freePort } from '../../support/servers/private-server.js';
import { startRedis } from '../../support/servers/redis.js';
import { startChromium } from './browser.js';
import { PageController } from './page.controller.js';

const FIRST = '{"number":1,"sku":"pen"}';

/** @param isWanted whether the test of this name is to be defined */
export function describeForms(isWanted: (name: string) => boolean): void {
  const define = (name: string, run: () => Promise<void>, timeoutMs?: number): void => {
    if (isWanted(name)) it(name, run, timeoutMs);
  };

  describe('a protected form in Chromium', () => {
    let browser: Browser;
    let test: TestApp;
    let context: BrowserContext;
    let page: Page;

    beforeAll(async () => {
      browser = await startChromium();
      test = await boot('express', {
        controllers: [Shop, PageController],
        idempotency: { tokens: { purposes: ['order'] }, tokenController: true },
      });
    }, 180_000);
    afterAll(async () => {
      await browser?.close();
      await test?.close();
    });
    beforeEach(async () => {
      Shop.empty();
      context = await browser.newContext({ baseURL: `http://127.0.0.1:${test.port}` });
      page = await context.newPage();
    });
    afterEach(() => context.close());

    const show = async (tab: Page, url = '/page'): Promise<void> => {
      await tab.goto(url);
      await tab.fill('[name=sku]', 'pen');
    };
    const order = (tab: Page) => tab.click('text=Order');
    const result = (tab: Page) => tab.waitForFunction(resultIn).then((text) => text.jsonValue());
    /** Resolves when the server has an order in hand. */
    const inHand = (tab: Page) => tab.waitForRequest((request) => request.method() === 'POST');

    async function expectOneEffect(...tabs: Page[]): Promise<void> {
      for (const tab of tabs) expect(await result(tab)).toBe(FIRST);
      expect(Shop.effects).toEqual([{ sku: 'pen' }]);
    }

    define('S14: a double click orders once', async () => {
      await show(page);
      await page.dblclick('text=Order');
      Shop.gate.open();
      await expectOneEffect(page);
    });

    define('S14: Enter twice orders once', async () => {
      await show(page);
      await page.focus('[name=sku]');
      await page.keyboard.press('Enter');
      await page.keyboard.press('Enter');
      Shop.gate.open();
      await expectOneEffect(page);
    });

    define(
      'S14: a reload while pending, with a page that shows the same again, goes on by itself',
      async () => {
        await page.goto('/page?value=pen');
        await Promise.all([inHand(page), order(page)]);
        await Promise.all([inHand(page), page.reload()]);
        Shop.gate.open();
        await expectOneEffect(page);
      },
    );

    define('S14: a reload while pending, and the same filled in again, orders once', async () => {
      await show(page);
      await Promise.all([inHand(page), order(page)]);
      await page.reload();
      await page.fill('[name=sku]', 'pen');
      await Promise.all([inHand(page), order(page)]);
      Shop.gate.open();
      await expectOneEffect(page);
    });

    for (const [how, isPersisted] of [
      ['as it was left', 'true'],
      ['loaded anew', 'false'],
    ] as const)
      define(
        `S14: going back after success to the page ${how}, and ordering the same, shows the first result`,
        async () => {
          Shop.gate.open();
          await show(page);
          if (isPersisted === 'false') await page.evaluate(keepOutOfBackForwardCache);
          await order(page);
          await expectOneEffect(page);
          await page.goto('/elsewhere');
          await page.evaluate(goBack);
          await page.waitForFunction(hasComeBack, isPersisted);
          await page.fill('[name=sku]', 'pen');
          const replayed = page.waitForResponse('**/gated');
          await order(page);
          expect((await replayed).headers()).toHaveProperty('idempotent-replayed', 'true');
          await expectOneEffect(page);
        },
      );

    define(
      'S14: an order that was placed offline arrives once when the network is back',
      async () => {
        Shop.gate.open();
        await show(page);
        await context.setOffline(true);
        const lost = page.waitForEvent('requestfailed');
        await order(page);
        await lost;
        expect(Shop.effects).toEqual([]);
        await context.setOffline(false);
        await expectOneEffect(page);
      },
    );

    define('S14: two tabs that share their storage order once', async () => {
      const [second, late] = [await context.newPage(), await context.newPage()];
      for (const tab of [page, second, late]) await show(tab, '/page?shared');
      const sent = Promise.all([inHand(page), inHand(second)]);
      await Promise.all([order(page), order(second)]);
      await sent;
      Shop.gate.open();
      await expectOneEffect(page, second);
      await order(late);
      await expectOneEffect(page, second, late);
    });

    define(
      'S14: the server is killed and restarted in between, and the order is there once',
      async () => {
        const redis = await startRedis();
        const business = await openStore('Redis', redis.port);
        const program = await ChildProgram.compile('test/browser/programs/shop.ts');
        try {
          const port = await freePort();
          const env = { REDIS_PORT: String(redis.port), PORT: String(port) };
          const first = await program.start<string>({ ...env, STOPS: 'yes' });
          await show(page, `http://127.0.0.1:${port}/page`);
          const hasOrder = nextMessage(first.process);
          await order(page);
          await hasOrder;
          await end(first.process);
          await program.start({ ...env, STOPS: 'no' });
          expect(await result(page)).toBe(FIRST);
          expect(await business.effects('orders')).toBe(1);
        } finally {
          await program.stop();
          await business.close();
          await redis.stop();
        }
      },
      180_000,
    );

    define('tells everybody that it is busy, and is as before after the answer', async () => {
      await show(page);
      const button = page.getByRole('button', { name: 'Order' });
      await button.focus();
      await page.keyboard.press('Enter');
      await page.waitForSelector('form[aria-busy=true] button[disabled][aria-disabled=true]');
      expect(await page.getByRole('status').allTextContents()).toContain('Sending …');
      Shop.gate.open();
      await result(page);
      expect(await page.getByRole('status').allTextContents()).toContain('Done.');
      expect(await page.inputValue('[name=sku]')).toBe('');
      expect(await button.isEnabled()).toBe(true);
      expect(await page.locator('[aria-busy], [aria-disabled]').count()).toBe(0);
      expect(await button.evaluate((element) => element === document.activeElement)).toBe(true);
    });

    define('orders again when the same is filled in again after an answer', async () => {
      Shop.gate.open();
      await show(page);
      await order(page);
      await expectOneEffect(page);
      await page.fill('[name=sku]', 'pen');
      await order(page);
      await eventually(() => Shop.effects.length === 2);
      expect(Shop.effects).toHaveLength(2);
    });

    for (const encoding of ['json', 'urlencoded'])
      define(`sends tokens of the server with ${encoding}`, async () => {
        await show(page, `/page?tokens&url=/token-orders&encoding=${encoding}`);
        const field = page.locator('[name=_idempotency_token]');
        await page.waitForFunction(tokenIn);
        const token = await field.inputValue();
        const [request] = await Promise.all([inHand(page), order(page)]);
        await expectOneEffect(page);
        expect(request.headers()['idempotency-key']).toBe(token);
      });

    define(
      'orders once, with a new token, when somebody has signed in since the form was shown',
      async () => {
        const session = { name: 'session', url: `http://127.0.0.1:${test.port}` };
        await context.addCookies([{ ...session, value: 'guest' }]);
        await show(page, '/page?tokens&url=/token-orders');
        await page.waitForFunction(tokenIn);
        await context.addCookies([{ ...session, value: 'alice' }]);
        await order(page);
        await expectOneEffect(page);
      },
    );

    define('orders nothing with a token of an old page that the server does not take', async () => {
      await show(page, '/page?tokens&url=/token-orders&token=of-an-old-page');
      await order(page);
      expect(await result(page)).toContain('IDEMPOTENCY_TOKEN_INVALID');
      expect(Shop.effects).toEqual([]);
    });

    define('does not renew a token that another tab may have used', async () => {
      await context.addCookies([
        { name: 'session', value: 'guest', url: `http://127.0.0.1:${test.port}` },
      ]);
      await show(page, '/page?tokens&shared&url=/token-orders');
      await page.waitForFunction(tokenIn);
      await page.evaluate(beginAnotherIntent);
      await context.clearCookies();
      await order(page);
      expect(await result(page)).toContain('IDEMPOTENCY_TOKEN_INVALID');
      expect(Shop.effects).toEqual([]);
    });

    define('has the key that the page came with, for one intent', async () => {
      Shop.gate.open();
      await show(page, '/page?token=issued');
      const [first] = await Promise.all([inHand(page), order(page)]);
      await expectOneEffect(page);
      await page.fill('[name=sku]', 'pen');
      const [second] = await Promise.all([inHand(page), order(page)]);
      expect(first.headers()['idempotency-key']).toBe('issued');
      expect(second.headers()['idempotency-key']).not.toBe('issued');
      expect(first.postData()).toBe('{"sku":"pen"}');
    });

    define('keeps what was filled in, and the key, when the server fails', async () => {
      await show(page, '/page?url=/fails/500');
      const [first] = await Promise.all([inHand(page), order(page)]);
      await result(page);
      expect(await page.getByRole('status').allTextContents()).toContain('This did not work.');
      expect(await page.inputValue('[name=sku]')).toBe('pen');
      const [second] = await Promise.all([inHand(page), order(page)]);
      expect(second.headers()['idempotency-key']).toBe(first.headers()['idempotency-key']);
      await page.fill('[name=sku]', 'ink');
      const [other] = await Promise.all([inHand(page), order(page)]);
      expect(other.headers()['idempotency-key']).not.toBe(first.headers()['idempotency-key']);
    });

    for (const [how, spoilStorage] of [
      ['full', fillStorage],
      ['forbidden', forbidStorage],
    ] as const)
      define(`keeps the key in memory when the storage of the tab is ${how}`, async () => {
        await page.addInitScript(spoilStorage);
        await show(page, '/page?url=/fails/500');
        const sent = [];
        for (let submit = 1; submit <= 2; submit++) {
          const [request] = await Promise.all([inHand(page), order(page)]);
          await page.waitForSelector('form:not([aria-busy])');
          sent.push(request.headers()['idempotency-key']);
        }
        expect(sent).toEqual([expect.any(String), sent[0]]);
        expect(Shop.effects).toEqual(['500', '500']);
      });

    define('is an ordinary form again when its protection is disposed of', async () => {
      await show(page);
      await page.evaluate(disposeOfProtection);
      expect(await page.locator('[name=_idempotency_token]').count()).toBe(0);
      await Promise.all([page.waitForURL('**/gated?sku=pen'), order(page)]);
      expect(Shop.effects).toEqual([]);
    });

    define('S14: a double click on a protected button acts once, a later click again', async () => {
      await page.goto('/page');
      await page.dblclick('text=Vote');
      expect(await page.isDisabled('text=Vote')).toBe(true);
      Shop.gate.open();
      expect(await result(page)).toBe('{"number":1}');
      expect(Shop.effects).toHaveLength(1);
      await page.click('text=Vote');
      await eventually(() => Shop.effects.length === 2);
      expect(Shop.effects).toHaveLength(2);
    });

    define(
      'a protected button repeats its action as a whole, and nothing of it that was done',
      async () => {
        await page.goto('/page?votes=/orders+/fails/500');
        for (let press = 1; press <= 2; press++) {
          const failed = page.waitForResponse('**/fails/500');
          await page.click('text=Vote');
          await failed;
        }
        expect(Shop.effects).toEqual([undefined, '500', '500']);
      },
    );

    define('S14: a protected button goes on after a reload with what was pending', async () => {
      await page.goto('/page');
      await Promise.all([inHand(page), page.click('text=Vote')]);
      await page.reload();
      Shop.gate.open();
      await page.click('text=Vote');
      expect(await result(page)).toBe('{"number":1}');
      expect(Shop.effects).toHaveLength(1);
    });
  });
}

// These run in the page.

function resultIn(): string {
  return document.querySelector('output')!.value;
}

function tokenIn(): string {
  return document.querySelector<HTMLInputElement>('[name=_idempotency_token]')!.value;
}

/** As another tab does it that has sent what this one holds, and goes on. */
function beginAnotherIntent(): void {
  for (const name of Object.keys(localStorage))
    localStorage.setItem(name, JSON.stringify({ key: 'next', isUnsent: true }));
}

function disposeOfProtection(): void {
  (globalThis as unknown as { protection: { dispose(): void } }).protection.dispose();
}

function fillStorage(): void {
  for (let length = 2 ** 22; length >= 1; length /= 2)
    try {
      for (let at = 0; ; at++) sessionStorage.setItem(`${length} ${at}`, '-'.repeat(length));
    } catch {
      // As much as that does not go in any more.
    }
}

function forbidStorage(): void {
  Object.defineProperty(window, 'sessionStorage', {
    get() {
      throw new DOMException('Access is denied.', 'SecurityError');
    },
  });
}

/** A page with a listener for `unload` is not kept. */
function keepOutOfBackForwardCache(): void {
  window.addEventListener('unload', () => undefined);
}

/** Playwright's own waits for a load, which a page from the cache does not have. */
function goBack(): void {
  setTimeout(() => history.back());
}

function hasComeBack(isPersisted: string): boolean {
  return document.body.dataset['persisted'] === isPersisted;
}
