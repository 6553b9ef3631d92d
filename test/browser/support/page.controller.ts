import {
  Controller,
  Get,
  Header,
  Headers,
  HttpCode,
  Post,
  Query,
  Redirect,
  Res,
  UnprocessableEntityException,
} from '@nestjs/common';
import type { Response } from 'express';
import { readFileSync } from 'node:fs';

/** As it is published. */
const CLIENT = 'dist/browser/client.js';

/** A page with a form and a button, and the client from a script tag. */
@Controller()
export class PageController {
  @Get('page')
  @Header('Content-Type', 'text/html; charset=utf-8')
  page(@Query('value') value = '', @Query('token') token = ''): string {
    return PAGE.replace('VALUE', encodeURIComponent(value)).replace(
      'TOKEN',
      token === '' ? '' : `<input type="hidden" name="_idempotency_token" value="${token}">`,
    );
  }

  @Get('elsewhere')
  @Header('Content-Type', 'text/html; charset=utf-8')
  elsewhere(): string {
    return '<!doctype html><title>Elsewhere</title><p>Thank you.</p>';
  }

  @Post('refused')
  refuse(): never {
    throw new UnprocessableEntityException('Pens are sold out.');
  }

  @Post('redirected')
  @Redirect('/elsewhere', 303)
  redirect(): void {}

  /** The answer to the first request is lost. */
  @Post('lost')
  @HttpCode(200)
  lose(@Headers('Idempotency-Key') key: string, @Res() response: Response): void {
    if (PageController.keys.push(key) === 1) response.destroy();
    else response.json(PageController.keys);
  }

  static keys: string[] = [];

  @Get('worker.js')
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  worker(): string {
    return WORKER;
  }

  @Get('client.js')
  @Header('Content-Type', 'text/javascript; charset=utf-8')
  client(): string {
    return readFileSync(CLIENT, 'utf8');
  }
}

/** A service worker that repeats what the page sends, without a change to the page. */
const WORKER = `
import { createIdempotentFetch } from '/client.js';
const send = createIdempotentFetch();
addEventListener('activate', (event) => event.waitUntil(clients.claim()));
addEventListener('fetch', (event) => {
  if (event.request.method === 'POST') event.respondWith(send(event.request));
});
`;

const PAGE = `<!doctype html>
<html lang="en">
<title>Shop</title>
<form id="order" action="/gated">
  <label>Article <input name="sku" value="VALUE" required></label>
  TOKEN
  <button>Order</button>
</form>
<button id="vote">Vote</button>
<output id="result"></output>
<script type="module">
  import { protectButton, protectForm } from '/client.js';
  addEventListener('pageshow', ({ persisted }) => {
    document.body.dataset.persisted = persisted;
  });
  const show = async (response) => {
    document.querySelector('#result').value = await response.text();
  };
  const parameters = new URLSearchParams(location.search);
  const options = {
    storage: parameters.has('shared') ? localStorage : undefined,
    tokenUrl: parameters.has('tokens') ? '/idempotency/tokens' : undefined,
    purpose: parameters.has('tokens') ? 'order' : undefined,
    url: parameters.get('url') ?? undefined,
    maxDelayMs: 1_000,
  };
  const form = document.querySelector('#order');
  window.protection = protectForm(form, {
    ...options,
    encoding: parameters.get('encoding') ?? 'json',
    onResult: parameters.has('plain') ? undefined : show,
  });
  protectButton(
    document.querySelector('#vote'),
    async ({ fetch }) => {
      for (const path of (parameters.get('votes') ?? '/gated').split(' '))
        await show(await fetch(path, { method: 'POST' }));
    },
    options,
  );
</script>
</html>
`;
