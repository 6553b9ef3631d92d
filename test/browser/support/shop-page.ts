import type { Browser, BrowserContext, BrowserContextOptions, Page } from 'playwright-core';
import { Visitor } from '../../../sample-app/show/demo/visitor.js';
import { PATIENCE_MS } from './browser.js';

const MOST_TABS = 60;

/** How a person uses the page. */
export type Hand = 'mouse' | 'keyboard';

/** A bar of the timeline, as it is read. */
export interface Bar {
  readonly title: string;
  readonly outcome: string;
  readonly detail: string;
}

/** What the page says came of pressing a button. */
export interface Result {
  readonly sent: number;
  readonly ran: number;
}

/** The page of the shop, in a browser. */
export class ShopPage {
  private readonly errors: Error[] = [];

  private constructor(
    private readonly context: BrowserContext,
    readonly page: Page,
    readonly visitor: Visitor,
  ) {
    page.on('pageerror', (error) => void this.errors.push(error));
  }

  static async open(
    browser: Browser,
    url: string,
    options: BrowserContextOptions = {},
  ): Promise<ShopPage> {
    const context = await browser.newContext({ baseURL: url, ...options });
    context.setDefaultTimeout(PATIENCE_MS);
    const shopPage = new ShopPage(context, await context.newPage(), new Visitor(url));
    await shopPage.page.goto('/');
    await shopPage.page.waitForFunction(isListening);
    return shopPage;
  }

  async choose(title: string, hand: Hand = 'mouse'): Promise<void> {
    await this.use('link', title, hand);
    await this.page.getByRole('heading', { level: 2, name: title, exact: true }).waitFor();
  }

  /** Presses a button of the scenario and resolves with what the page says came of it. */
  async press(name: string, hand: Hand = 'mouse'): Promise<Result> {
    await this.use('button', name, hand);
    return this.result();
  }

  async result(): Promise<Result> {
    const numbers = this.page.locator('.number');
    await numbers.nth(1).waitFor();
    await this.page.waitForFunction(isIdle);
    const [sent, ran] = await numbers.locator('b').allTextContents();
    return { sent: Number(sent), ran: Number(ran) };
  }

  /** The bars of what was done last, from above. */
  bars(): Promise<Bar[]> {
    return this.page.evaluate(latestBars);
  }

  /** Goes to a control with the Tab key alone, or with the mouse, and presses it. */
  async use(role: 'link' | 'button', name: string, hand: Hand): Promise<void> {
    const control = this.page.getByRole(role, { name, exact: true });
    if (hand === 'mouse') return control.click();
    await control.waitFor();
    for (let tabs = 1; tabs <= MOST_TABS; tabs++) {
      await this.page.keyboard.press('Tab');
      if (await control.evaluate((element) => element === document.activeElement))
        return this.page.keyboard.press('Enter');
    }
    throw new Error(`${MOST_TABS} times Tab, and "${name}" has not got the focus.`);
  }

  /** @throws AggregateError with what went wrong in the page's own code */
  async close(): Promise<void> {
    await this.context.close();
    if (this.errors.length > 0) throw new AggregateError(this.errors, 'The page has thrown.');
  }
}

// These run in the page.

function isListening(): boolean {
  return (
    document.querySelectorAll('#scenarios a').length > 0 &&
    document.querySelector('#connection.shown') === null &&
    document.querySelector('.board-list li') !== null
  );
}

function isIdle(): boolean {
  return (
    document.querySelectorAll('.number').length === 2 &&
    document.querySelector('[aria-busy=true], [data-outcome=running]') === null
  );
}

function latestBars(): Bar[] {
  const text = (row: Element, part: string): string =>
    row.querySelector(`.call-${part}`)!.textContent!.trim();
  return [...document.querySelectorAll('.burst:first-child .call')].map((row) => ({
    title: text(row, 'title'),
    outcome: text(row, 'outcome'),
    detail: text(row, 'detail'),
  }));
}
