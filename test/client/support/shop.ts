import { Body, Controller, HttpCode, HttpException, Param, Post, Res } from '@nestjs/common';
import type { Response } from 'express';
import { Idempotent } from 'nestjs-idempotency';
import type { IntentStorage } from 'nestjs-idempotency/client';
import { Gate } from 'nestjs-idempotency/testing';

/** What the tests of the client order from. */
@Controller()
export class Shop {
  /** What was ordered, in the order of its execution. */
  static effects: unknown[] = [];
  static gate = new Gate();

  static empty(): void {
    Shop.effects = [];
    Shop.gate = new Gate();
  }

  @Post('orders')
  @Idempotent()
  order(@Body() order: object): object {
    return { number: Shop.effects.push(order), ...order };
  }

  @Post('token-orders')
  @Idempotent({ strategy: 'token', purpose: 'order' })
  orderWithToken(@Body() order: object): object {
    return this.order(order);
  }

  @Post('gated')
  @Idempotent()
  async gated(@Body() order: object): Promise<object> {
    await Shop.gate.pass();
    return this.order(order);
  }

  @Post('open')
  @HttpCode(204)
  open(): void {}

  /** Refuses once, as another server would: with a date. */
  @Post('later')
  later(@Res() response: Response): void {
    if (Shop.effects.push('later') > 1) {
      response.status(204).end();
      return;
    }
    const inTwoSeconds = new Date(Date.now() + 2_000).toUTCString();
    response.status(429).set('Retry-After', inTwoSeconds).type('application/problem+json');
    response.send('{"retryable":true}');
  }

  /** Breaks off in the middle of its first reply. */
  @Post('cut-off')
  cutOff(@Res() response: Response): void {
    const number = Shop.effects.push('cut off');
    const text = JSON.stringify({ number });
    response.status(200).type('application/json').set('Content-Length', String(text.length));
    if (number > 1) response.end(text);
    else response.write(text.slice(0, -1), () => response.destroy());
  }

  @Post('fails/:status')
  fail(@Param('status') status: string): never {
    Shop.effects.push(status);
    throw new HttpException('The shop is shut.', Number(status));
  }
}

/** Outlives clients, as the storage of a tab outlives its pages. */
export class TabStorage implements IntentStorage {
  readonly values = new Map<string, string>();

  getItem(name: string): string | null {
    return this.values.get(name) ?? null;
  }

  setItem(name: string, value: string): void {
    this.values.set(name, value);
  }

  removeItem(name: string): void {
    this.values.delete(name);
  }
}

/** The requests that went out, with a `fetch` that sends them. */
export class Wire {
  readonly requests: { readonly key: string | null; readonly text: string; readonly at: number }[] =
    [];

  readonly fetch: typeof fetch = async (input, init) => {
    const request = input as Request;
    const at = Date.now();
    const text = await request.clone().text();
    this.requests.push({ key: request.headers.get('Idempotency-Key'), text, at });
    return fetch(request, init);
  };

  get keys(): (string | null)[] {
    return this.requests.map(({ key }) => key);
  }
}

/** A POST of JSON. */
export function posting(order: object): RequestInit {
  return {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(order),
  };
}
