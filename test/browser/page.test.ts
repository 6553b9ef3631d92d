import { jest } from '@jest/globals';
import type { Route } from 'playwright-core';
import { PATIENCE_MS } from './support/browser.js';
import { compared, OpenPage } from './support/open-page.js';

jest.setTimeout(PATIENCE_MS);

describe('the page of the shop', () => {
  const open = OpenPage.forEach();

  it('is played with the keyboard alone', async () => {
    await open.page.choose('A number used again', 'keyboard');
    const pay = () => open.page.press('Pay 40, then 90, then 40', 'keyboard');
    expect(await compared(open, 'POST /payments/by-order', pay)).toEqual({ sent: 3, ran: 1 });
  });

  it('S3: a double click of a hand is two requests and one payment, whatever others pay meanwhile', async () => {
    await open.page.choose('Pay for an order');
    const { page, visitor } = open.page;
    const sent: Route[] = [];
    const bothAreSent = new Promise<void>((resolve) => {
      void page.route('**/payments', (route) => {
        if (sent.push(route) === 2) resolve();
      });
    });
    const button = page.getByRole('button', { name: 'Pay', exact: true });
    const { x, y, width, height } = (await button.boundingBox())!;
    await page.mouse.move(x + width / 2, y + height / 2);
    for (const pauseMs of [180, 0]) {
      await page.mouse.down();
      await page.mouse.up();
      await page.waitForTimeout(pauseMs);
    }
    await bothAreSent;
    const headers = { 'Idempotency-Key': 'another visitor' };
    await visitor.send({ path: '/payments', body: { orderId: 'A-2', amount: 1 }, headers });
    await Promise.all(sent.map((route) => route.continue()));

    expect(await open.page.result()).toEqual({ sent: 2, ran: 1 });
    expect(await button.boundingBox()).toEqual({ x, y, width, height });
    await page.unroute('**/payments');
    expect(await open.page.press('Pay')).toEqual({ sent: 1, ran: 1 });
  });

  it('S14: a double click on the protected button is one request', async () => {
    await open.page.choose('A button that waits');
    await open.page.page.getByRole('button', { name: 'Buy a chair' }).dblclick();
    expect(await open.page.result()).toEqual({ sent: 1, ran: 1 });
  });

  it('S10: Enter twice in the form is one order', async () => {
    await open.page.choose('A form with a token');
    await open.page.page.getByLabel('Quantity').focus();
    await open.page.page.keyboard.press('Enter');
    await open.page.page.keyboard.press('Enter');
    expect(await open.page.result()).toEqual({ sent: 1, ran: 1 });
  });

  it('S8b: the second of two editors is refused, and the retry of the first is replayed', async () => {
    await open.page.choose('Two editors');
    const save = () => open.page.press('Anna, Ben, and Anna’s retry');
    expect(await compared(open, 'PUT /goods/:id', save)).toEqual({ sent: 3, ran: 1 });
    expect(await open.page.bars()).toMatchObject([
      { outcome: 'executed' },
      { outcome: 'refused', detail: '412 VERSION_CONFLICT' },
      { outcome: 'replayed' },
    ]);
  });

  it('keeps what a button sends apart from what others have just sent', async () => {
    await open.page.choose('A number used again');
    const transfer = { path: '/transfers', body: { serialNo: '2', amount: 5 } };
    await open.page.visitor.send({ ...transfer, headers: { 'X-Client-Id': 'curl' } });
    expect(await open.page.press('Pay 40')).toEqual({ sent: 1, ran: 1 });
    expect(await open.page.bars()).toMatchObject([{ title: 'POST /payments/by-order' }]);
  });

  it('tells all of a bar that has the focus, and goes from bar to bar with the arrow keys', async () => {
    await open.page.choose('A number used again');
    await open.page.press('Pay 40, then 90, then 40');
    await open.page.page.locator('.call').first().focus();
    await open.page.page.keyboard.press('ArrowDown');
    const details = open.page.page.locator('#inspector');
    await details.getByText('IDEMPOTENCY_KEY_REUSED').waitFor();
    await open.page.page.keyboard.press('ArrowDown');
    await details.getByText('Idempotent-Replayed').waitFor();
    expect(await open.page.page.locator('.call[tabindex="0"]').count()).toBe(1);
  });
});
