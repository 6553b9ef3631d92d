import type { Browser } from 'playwright-core';
import { Controller, Post, Res } from '@nestjs/common';
import { CORS_ALLOWED_HEADERS, CORS_EXPOSED_HEADERS, Idempotent } from 'nestjs-idempotency';
import { boot, PLATFORMS, type TestApp } from '../support/http.js';
import { startChromium } from './support/browser.js';
import { PageController } from './support/page.controller.js';

/** What both frameworks have of a response. */
interface SettableResponse {
  header(name: string, value: string): void;
}

describe.each(PLATFORMS)('a page of another origin than the %s it calls', (platform) => {
  let browser: Browser;
  let pages: TestApp;
  let api: TestApp;

  @Controller()
  class OrdersController {
    @Idempotent()
    @Post('orders')
    order(@Res({ passthrough: true }) response: SettableResponse): object {
      response.header('ETag', '"2"');
      response.header('Location', '/orders/1');
      return { ordered: true };
    }
  }

  beforeAll(async () => {
    browser = await startChromium();
    pages = await boot('express', { controllers: [PageController] });
    api = await boot(platform, {
      controllers: [OrdersController],
      configure: (app) =>
        app.enableCors({
          origin: `http://127.0.0.1:${pages.port}`,
          allowedHeaders: CORS_ALLOWED_HEADERS,
          exposedHeaders: CORS_EXPOSED_HEADERS,
        }),
    });
  }, 180_000);

  afterAll(async () => {
    await browser?.close();
    await pages?.close();
    await api?.close();
  });

  it('may send every header, and sees every one, with the constants for CORS', async () => {
    const page = await browser.newPage();
    await page.goto(`http://127.0.0.1:${pages.port}/elsewhere`);
    const seen = await page.evaluate(
      async ({ url, names }) => {
        const init = {
          method: 'POST',
          headers: {
            'Idempotency-Key': '1',
            'If-Match': '"1"',
            'Content-Type': 'application/json',
          },
          body: '{}',
        };
        await fetch(url, init);
        const { headers } = await fetch(url, init);
        const refused = await fetch(url, { method: 'POST' });
        return {
          replayed: names.map((name) => headers.get(name)),
          refused: refused.headers.get('Idempotency-Error'),
        };
      },
      { url: `http://127.0.0.1:${api.port}/orders`, names: CORS_EXPOSED_HEADERS },
    );
    expect(seen).toEqual({
      replayed: ['true', null, null, null, '"2"', '/orders/1'],
      refused: 'IDEMPOTENCY_KEY_REQUIRED',
    });
    await page.close();
  });
});
