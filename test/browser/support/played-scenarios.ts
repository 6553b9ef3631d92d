import { compared, type OpenPage } from './open-page.js';
import type { Bar, Hand } from './shop-page.js';

const outcomes = (bars: readonly Bar[]): string[] => bars.map(({ outcome }) => outcome);
const DUPLICATE = expect.stringMatching(/^(replayed|refused)$/);

/** What the page shows when somebody plays its scenarios, in the hand that is given. */
export function playScenarios(open: OpenPage, hand: Hand): void {
  it('executes one of 20 that are fired at once, and replays or refuses the others', async () => {
    await open.page.choose('Pay for an order', hand);
    const fire = () => open.page.press('Fire 20 at once', hand);
    expect(await compared(open, 'POST /payments', fire)).toEqual({ sent: 20, ran: 1 });
    const found = outcomes(await open.page.bars()).sort();
    expect(found).toEqual(['executed', ...Array.from({ length: 19 }, () => DUPLICATE)]);
  });

  it('replays the reply that was dropped', async () => {
    await open.page.choose('Pay for an order', hand);
    const lose = () => open.page.press('Lose the reply, retry', hand);
    expect(await compared(open, 'POST /payments', lose)).toMatchObject({ ran: 1 });
    const bars = await open.page.bars();
    expect(bars[0]).toMatchObject({ outcome: 'executed', detail: 'reply lost' });
    expect(bars.at(-1)).toMatchObject({ outcome: 'replayed', detail: '201' });
  });

  it('refuses another amount for the same number, with its code', async () => {
    await open.page.choose('A number used again', hand);
    const pay = () => open.page.press('Pay 40, then 90, then 40', hand);
    expect(await compared(open, 'POST /payments/by-order', pay)).toEqual({ sent: 3, ran: 1 });
    expect(await open.page.bars()).toMatchObject([
      { outcome: 'executed', detail: '201' },
      { outcome: 'refused', detail: '422 KEY_REUSED' },
      { outcome: 'replayed', detail: '201' },
    ]);
  });

  it('shows what failed, and the attempt that did not', async () => {
    await open.page.choose('Fail twice, then work', hand);
    const retry = () => open.page.press('Try until it works, and once more', hand);
    expect(await compared(open, 'POST /flaky', retry)).toEqual({ sent: 4, ran: 3 });
    expect(await open.page.bars()).toMatchObject([
      { outcome: 'failed', detail: '500' },
      { outcome: 'failed', detail: '500 · attempt 2' },
      { outcome: 'executed', detail: '201 · attempt 3' },
      { outcome: 'replayed', detail: '201' },
    ]);
  });

  it('lets the second delivery wait, sends one text and replays what is redelivered', async () => {
    await open.page.choose('A message again', hand);
    const deliver = () => open.page.press('Deliver “paid”', hand);
    let found: string[] = [];
    do {
      if (found.length > 0) await open.page.use('button', 'New order', hand);
      expect(await compared(open, 'SMS', deliver)).toEqual({ sent: 1, ran: 1 });
      found = outcomes(await open.page.bars());
      // A delivery that comes when the first is done already has nothing to wait for.
    } while (!found.includes('waited'));
    const redeliver = () => open.page.press('Deliver it, and redeliver it', hand);
    expect(await compared(open, 'SMS', redeliver)).toEqual({ sent: 2, ran: 0 });
    const deliveries = (await open.page.bars()).filter(({ title }) => title.includes('Consumer'));
    expect(outcomes(deliveries)).toEqual(Array.from({ length: 8 }, () => 'replayed'));
  });

  it('takes over what a killed worker had begun, when its lease is over', async () => {
    await open.page.choose('Kill the worker', hand);
    const kill = () => open.page.press('Kill it while it works, retry here', hand);
    expect(await compared(open, 'POST /slow', kill)).toMatchObject({ ran: 1 });
    const [first, ...others] = await open.page.bars();
    const last = others.pop();
    expect(first).toMatchObject({ title: 'POST /slow (worker)', outcome: 'killed' });
    expect(last).toMatchObject({ outcome: 'taken over', detail: '201 · attempt 2' });
    expect(others.length).toBeGreaterThan(0);
    for (const bar of others)
      expect(bar).toMatchObject({ outcome: 'refused', detail: '409 KEY_IN_USE' });
  });
}
