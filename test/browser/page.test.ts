import type { Browser } from 'playwright-core';
import type { ShopProcess } from '../../sample-app/show/demo/shop-process.js';
import type { Effects } from '../../sample-app/show/effects/effects.js';
import { openShop, OPENING_MS } from '../sample/support/shop.js';
import { eventually } from '../support/http.js';
import { startChromium } from './support/browser.js';
import { type Bar, type Result, ShopPage } from './support/shop-page.js';

const outcomes = (bars: readonly Bar[]): string[] => bars.map(({ outcome }) => outcome);
const DUPLICATE = expect.stringMatching(/^(replayed|refused)$/);

describe('the page of the shop', () => {
  let browser: Browser;
  let shop: ShopProcess;
  let page: ShopPage;

  beforeAll(async () => {
    [browser, shop] = await Promise.all([startChromium(), openShop({})]);
  }, OPENING_MS);
  afterAll(async () => {
    await browser?.close();
    await shop?.stop();
  });
  beforeEach(async () => {
    page = await ShopPage.open(browser, shop.url);
  });
  afterEach(() => page.close());

  /** The result, after comparing it with what the shop counted itself. */
  async function compared(route: keyof Effects, act: () => Promise<Result>): Promise<Result> {
    const before = await page.visitor.effects();
    const result = await act();
    const after = await page.visitor.effects();
    expect(after[route] - before[route]).toBe(result.ran);
    const shown = page.page.locator(`[data-name="${route}"] output`);
    await eventually(async () => (await shown.textContent()) === String(after[route]));
    return result;
  }

  describe.each(['mouse', 'keyboard'] as const)('with the %s', (hand) => {
    it('executes one of 20 that are fired at once, and replays or refuses the others', async () => {
      await page.choose('Pay for an order', hand);
      const fire = () => page.press('Fire 20 at once', hand);
      expect(await compared('POST /payments', fire)).toEqual({ sent: 20, ran: 1 });
      const found = outcomes(await page.bars()).sort();
      expect(found).toEqual(['executed', ...Array.from({ length: 19 }, () => DUPLICATE)]);
    });

    it('replays the reply that was dropped', async () => {
      await page.choose('Pay for an order', hand);
      const lose = () => page.press('Lose the reply, retry', hand);
      expect(await compared('POST /payments', lose)).toMatchObject({ ran: 1 });
      const bars = await page.bars();
      expect(bars[0]).toMatchObject({ outcome: 'executed', detail: 'reply lost' });
      expect(bars.at(-1)).toMatchObject({ outcome: 'replayed', detail: '201' });
    });

    it('refuses another amount for the same number, with its code', async () => {
      await page.choose('A number used again', hand);
      const pay = () => page.press('Pay 40, then 90, then 40', hand);
      expect(await compared('POST /payments/by-order', pay)).toEqual({ sent: 3, ran: 1 });
      expect(await page.bars()).toMatchObject([
        { outcome: 'executed', detail: '201' },
        { outcome: 'refused', detail: '422 KEY_REUSED' },
        { outcome: 'replayed', detail: '201' },
      ]);
    });

    it('shows what failed, and the attempt that did not', async () => {
      await page.choose('Fail twice, then work', hand);
      const retry = () => page.press('Try until it works, and once more', hand);
      expect(await compared('POST /flaky', retry)).toEqual({ sent: 4, ran: 3 });
      expect(await page.bars()).toMatchObject([
        { outcome: 'failed', detail: '500' },
        { outcome: 'failed', detail: '500 · attempt 2' },
        { outcome: 'executed', detail: '201 · attempt 3' },
        { outcome: 'replayed', detail: '201' },
      ]);
    });

    it('lets the second delivery wait, sends one text and replays what is redelivered', async () => {
      await page.choose('A message again', hand);
      const deliver = () => page.press('Deliver “paid”', hand);
      let found: string[] = [];
      do {
        if (found.length > 0) await page.use('button', 'New order', hand);
        expect(await compared('SMS', deliver)).toEqual({ sent: 1, ran: 1 });
        found = outcomes(await page.bars());
        // A delivery that comes when the first is done already has nothing to wait for.
      } while (!found.includes('waited'));
      const redeliver = () => page.press('Deliver it, and redeliver it', hand);
      expect(await compared('SMS', redeliver)).toEqual({ sent: 2, ran: 0 });
      const deliveries = (await page.bars()).filter(({ title }) => title.includes('Consumer'));
      expect(outcomes(deliveries)).toEqual(Array.from({ length: 8 }, () => 'replayed'));
    });

    it('takes over what a killed worker had begun, when its lease is over', async () => {
      await page.choose('Kill the worker', hand);
      const kill = () => page.press('Kill it at work, retry here', hand);
      expect(await compared('POST /slow', kill)).toMatchObject({ ran: 1 });
      const [first, ...others] = await page.bars();
      const last = others.pop();
      expect(first).toMatchObject({ title: 'POST /slow (worker)', outcome: 'killed' });
      expect(last).toMatchObject({ outcome: 'taken over', detail: '201 · attempt 2' });
      expect(others.length).toBeGreaterThan(0);
      for (const bar of others)
        expect(bar).toMatchObject({ outcome: 'refused', detail: '409 KEY_IN_USE' });
    }, 90_000);
  });

  it('S14: a double click on the protected button is one request', async () => {
    await page.choose('A button that waits');
    await page.page.getByRole('button', { name: 'Buy a chair' }).dblclick();
    expect(await page.result()).toEqual({ sent: 1, ran: 1 });
  });

  it('S14: the protected button repeats a lost reply by itself', async () => {
    await page.choose('A button that waits');
    await page.page.getByRole('checkbox').check();
    const buy = () => page.press('Buy a chair');
    expect(await compared('POST /goods/:id/decrement', buy)).toMatchObject({ ran: 1 });
    expect((await page.bars()).at(-1)).toMatchObject({ outcome: 'replayed' });
  });

  it('S10: Enter twice in the form is one order', async () => {
    await page.choose('A form with a token');
    await page.page.getByLabel('Quantity').focus();
    await page.page.keyboard.press('Enter');
    await page.page.keyboard.press('Enter');
    expect(await page.result()).toEqual({ sent: 1, ran: 1 });
  });

  it('S10: a form that is reloaded while it is sent goes on, and orders once', async () => {
    await page.choose('A form with a token');
    const reload = () => page.press('Submit, and reload the page meanwhile');
    expect(await compared('POST /orders', reload)).toMatchObject({ ran: 1 });
    expect(outcomes(await page.bars())).toContain('replayed');
  });

  it('S8b: the second of two editors is refused, and the retry of the first is replayed', async () => {
    await page.choose('Two editors');
    const save = () => page.press('Anna, Ben, and Anna’s retry');
    expect(await compared('PUT /goods/:id', save)).toEqual({ sent: 3, ran: 1 });
    expect(await page.bars()).toMatchObject([
      { outcome: 'executed' },
      { outcome: 'refused', detail: '412 VERSION_CONFLICT' },
      { outcome: 'replayed' },
    ]);
  });

  it('S19: votes once for everybody who signs in, and not for nobody', async () => {
    await page.choose('One vote each');
    expect(await page.press('Vote 5 times')).toEqual({ sent: 5, ran: 1 });
    await page.page.getByLabel('Signed in as').selectOption('bob');
    expect(await page.press('Vote')).toEqual({ sent: 1, ran: 1 });
    await page.page.getByLabel('Signed in as').selectOption('nobody');
    expect(await page.press('Vote')).toEqual({ sent: 1, ran: 0 });
    expect(await page.bars()).toMatchObject([{ outcome: 'refused', detail: '401' }]);
  });

  it('S15: says what an import needs', async () => {
    await page.choose('A job in a queue');
    await page.press('Import 3 rows');
    expect(await page.page.locator('.replies').textContent()).toContain('REDIS_URL');
  });

  it('shows requests that others send', async () => {
    const headers = { 'X-Client-Id': 'curl' };
    await page.visitor.send({ path: '/transfers', headers, body: { serialNo: '1', amount: 5 } });
    // No scenario of the page transfers anything.
    const found = { title: 'POST /transfers', outcome: 'executed', detail: '201' };
    const isShown = async (): Promise<boolean> =>
      (await page.bars()).some(({ title, detail }) => title === found.title && detail !== '');
    await eventually(isShown);
    expect(await page.bars()).toContainEqual(found);
  });

  it('keeps what a button sends apart from what others have just sent', async () => {
    await page.choose('A number used again');
    const transfer = { path: '/transfers', body: { serialNo: '2', amount: 5 } };
    await page.visitor.send({ ...transfer, headers: { 'X-Client-Id': 'curl' } });
    expect(await page.press('Pay 40')).toEqual({ sent: 1, ran: 1 });
    expect(await page.bars()).toMatchObject([{ title: 'POST /payments/by-order' }]);
  });

  it('tells all of a bar that has the focus, and goes from bar to bar with the arrow keys', async () => {
    await page.choose('A number used again');
    await page.press('Pay 40, then 90, then 40');
    await page.page.locator('.call').first().focus();
    await page.page.keyboard.press('ArrowDown');
    const details = page.page.locator('#inspector');
    await details.getByText('IDEMPOTENCY_KEY_REUSED').waitFor();
    await page.page.keyboard.press('ArrowDown');
    await details.getByText('Idempotent-Replayed').waitFor();
    expect(await page.page.locator('.call[tabindex="0"]').count()).toBe(1);
  });
});
