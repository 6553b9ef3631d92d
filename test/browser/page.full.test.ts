import { jest } from '@jest/globals';
import { eventually } from '../support/http.js';
import { PATIENCE_MS } from './support/browser.js';
import { compared, OpenPage } from './support/open-page.js';
import { playScenarios } from './support/played-scenarios.js';
import type { Bar } from './support/shop-page.js';

jest.setTimeout(PATIENCE_MS);

const outcomes = (bars: readonly Bar[]): string[] => bars.map(({ outcome }) => outcome);

describe.each(['keyboard', 'mouse'] as const)('the page of the shop, with the %s', (hand) => {
  playScenarios(OpenPage.forEach(), hand);
});

describe('the page of the shop', () => {
  const open = OpenPage.forEach();

  it('S14: the protected button repeats a lost reply by itself', async () => {
    await open.page.choose('A button that waits');
    await open.page.page.getByRole('checkbox').check();
    const buy = () => open.page.press('Buy a chair');
    expect(await compared(open, 'POST /goods/:id/decrement', buy)).toMatchObject({ ran: 1 });
    expect((await open.page.bars()).at(-1)).toMatchObject({ outcome: 'replayed' });
  });

  it('S10: a form that is reloaded while it is sent goes on, and orders once', async () => {
    await open.page.choose('A form with a token');
    const reload = () => open.page.press('Submit, and reload the page meanwhile');
    expect(await compared(open, 'POST /orders', reload)).toMatchObject({ ran: 1 });
    expect(outcomes(await open.page.bars())).toContain('replayed');
  });

  it('S3: charges as often as it is asked to without protection, and once with it', async () => {
    await open.page.choose('Pay for an order');
    const { page } = open.page;
    await page.getByLabel('Without protection').check();
    expect(await open.page.press('Click twice')).toEqual({ sent: 2, ran: 2 });
    expect(await open.page.press('Lose the reply, retry')).toEqual({ sent: 2, ran: 2 });
    await page.getByLabel('Without protection').uncheck();
    expect(await open.page.press('Click twice')).toEqual({ sent: 2, ran: 1 });
  });

  it('S12: gives the last coupon to one of 20', async () => {
    await open.page.choose('The last coupon');
    expect(await open.page.press('20 people at once')).toEqual({ sent: 20, ran: 1 });
    expect(await open.page.press('Claim it')).toEqual({ sent: 1, ran: 1 });
  });

  it('S19: votes once for everybody who signs in, and not for nobody', async () => {
    await open.page.choose('One vote each');
    expect(await open.page.press('Vote 5 times')).toEqual({ sent: 5, ran: 1 });
    await open.page.page.getByLabel('Signed in as').selectOption('bob');
    expect(await open.page.press('Vote')).toEqual({ sent: 1, ran: 1 });
    await open.page.page.getByLabel('Signed in as').selectOption('nobody');
    expect(await open.page.press('Vote')).toEqual({ sent: 1, ran: 0 });
    expect(await open.page.bars()).toMatchObject([{ outcome: 'refused', detail: '401' }]);
  });

  it('S15: says what an import needs', async () => {
    await open.page.choose('A job in a queue');
    await open.page.press('Import 3 rows');
    expect(await open.page.page.locator('.replies').textContent()).toContain('REDIS_URL');
  });

  it('shows requests that others send', async () => {
    const headers = { 'X-Client-Id': 'curl' };
    await open.page.visitor.send({
      path: '/transfers',
      headers,
      body: { serialNo: '1', amount: 5 },
    });
    // No scenario of the page transfers anything.
    const found = { title: 'POST /transfers', outcome: 'executed', detail: '201' };
    const isShown = async (): Promise<boolean> =>
      (await open.page.bars()).some(({ title, detail }) => title === found.title && detail !== '');
    await eventually(isShown);
    expect(await open.page.bars()).toContainEqual(found);
  });
});
