import { randomUUID } from 'node:crypto';
import type { ShopProcess } from '../../sample-app/show/demo/shop-process.js';
import { json, Visitor, type Call } from '../../sample-app/show/demo/visitor.js';
import { eventually } from '../support/http.js';
import { EventStream } from './support/event-stream.js';
import { openShopOnServer, OPENING_MS } from './support/shop.js';

const SECRET = 'b7e1-nobody-may-read-this';

const pay = (requestId: string, key = randomUUID()): Call => ({
  path: '/payments',
  headers: { 'Idempotency-Key': key, 'X-Request-Id': requestId },
  body: { orderId: `order-${SECRET}`, amount: 40 },
});

export function describeTimeline(http: 'express' | 'fastify'): void {
  describe(`the timeline on ${http}`, () => {
    let shop: ShopProcess;
    let visitor: Visitor;
    let stream: EventStream;

    beforeAll(async () => {
      shop = await openShopOnServer({ HTTP: http });
      visitor = new Visitor(shop.url);
      stream = await EventStream.listen(shop.url);
    }, OPENING_MS);
    afterAll(async () => {
      stream?.close();
      await shop?.stop();
    });

    it('tells what became of a request, and of its duplicates', async () => {
      const key = randomUUID();
      await visitor.send(pay('first', key));
      await visitor.send(pay('again', key));
      await visitor.send({ ...pay('other', key), body: { orderId: 'other', amount: 41 } });
      expect(await stream.request('first')).toMatchObject([
        { entry: 'started', kind: 'request', title: 'POST /payments' },
        { type: 'claimed', scope: 'POST /payments', attempt: 1 },
        { type: 'executed', attempt: 1, durationMs: expect.any(Number) },
        { type: 'stored' },
        { entry: 'ended', how: 'answered', status: 201 },
      ]);
      expect(await stream.request('again')).toMatchObject([
        { entry: 'started' },
        { type: 'replayed' },
        { entry: 'ended', status: 201, isReplayed: true },
      ]);
      expect(await stream.request('other')).toMatchObject([
        { entry: 'started' },
        { type: 'rejected', code: 'IDEMPOTENCY_KEY_REUSED' },
        { entry: 'ended', status: 422 },
      ]);
    });

    it('knows which request a guard has refused', async () => {
      await visitor.send({ path: '/payments', headers: { 'X-Request-Id': 'without' }, body: {} });
      expect(await stream.request('without')).toMatchObject([
        { entry: 'started' },
        { type: 'rejected', code: 'IDEMPOTENCY_KEY_REQUIRED' },
        { entry: 'ended', status: 400 },
      ]);
    });

    it('tells a duplicate of one that is running when to come back', async () => {
      const slow = (requestId: string): Call => ({
        path: '/slow',
        headers: { 'Idempotency-Key': 'slow', 'X-Request-Id': requestId },
        body: { ms: 2_000 },
      });
      const first = visitor.send(slow('running'));
      await visitor.untilRan('POST /slow', 1);
      await visitor.send(slow('meanwhile'));
      expect((await stream.request('meanwhile')).at(-1)).toMatchObject({
        status: 409,
        retryAfter: '1',
      });
      await first;
    });

    it('goes on with a request whose client is gone', async () => {
      const { headers, ...call } = pay('lost');
      const slowly = { ...call, headers: { ...headers, 'X-Slow-Motion': '500' } };
      await visitor.loseReply(slowly, 'POST /payments');
      const [started] = await stream.request('lost');
      const ofRequest = () => stream.entries.filter(({ call: name }) => name === started!.call);
      await eventually(() => ofRequest().length === 5);
      expect(ofRequest()).toMatchObject([
        { entry: 'started' },
        { type: 'claimed' },
        { entry: 'ended', how: 'lost' },
        { type: 'executed' },
        { type: 'stored' },
      ]);
    });

    it('shows deliveries of messages, each for itself', async () => {
      const { body: token } = await visitor.send({ path: '/idempotency/tokens' });
      const place = { path: '/orders', body: { sku: 'lamp', quantity: 1 } };
      const { header, token: key } = JSON.parse(token.toString()) as Record<string, string>;
      const order = json<{ id: string }>(
        await visitor.send({ ...place, headers: { [header!]: key! } }),
      );
      const messageId = `message-${SECRET}`;
      await visitor.send({
        path: '/messages/order-events',
        body: { messageId, orderId: order.id, status: 'paid' },
      });
      const deliveries = () =>
        stream.entries.filter((entry) => entry.entry === 'started' && entry.kind === 'message');
      await eventually(() => deliveries().length === 4);
      const titles = deliveries().map((entry) => ('title' in entry ? entry.title : ''));
      expect(titles.sort()).toEqual([
        'OrderEventsConsumer.paid',
        'OrderEventsConsumer.paid',
        'SmsConsumer.send',
        'SmsConsumer.send',
      ]);
    });

    it('holds no keys, and nothing of bodies or paths', async () => {
      const path = `/coupons/${SECRET}/claim?of=${SECRET}`;
      const headers = { 'Idempotency-Key': SECRET, 'X-Request-Id': 'secret' };
      await visitor.send({ path, headers });
      await stream.request('secret');
      expect(stream.text).toContain('POST /coupons/:id/claim');
      expect(stream.text).not.toContain(SECRET);
    });

    it('makes an id for a request that comes with a bad one', async () => {
      await visitor.send({
        path: '/payments',
        headers: { 'X-Request-Id': `<b>${SECRET}` },
        body: {},
      });
      expect(stream.text).not.toContain(SECRET);
    });

    it('goes on behind what a listener has heard last', async () => {
      await visitor.send(pay('before'));
      await stream.request('before');
      const { id } = stream.heard.at(-1)!;
      await visitor.send(pay('after'));
      await stream.request('after');
      const resumed = await EventStream.listen(shop.url, id);
      const missed = stream.heard.slice(stream.heard.findIndex((event) => event.id === id) + 1);
      await eventually(() => resumed.heard.length === missed.length);
      expect(resumed.heard).toEqual(missed);
      resumed.close();
    });

    it.each([
      ['nothing yet', undefined],
      ['a shop of before', 'another.7'],
    ])('tells who has heard %s what there was', async (_what, lastEventId) => {
      await visitor.send(pay(`told-${http}-${lastEventId}`.replace('.', '-')));
      const late = await EventStream.listen(shop.url, lastEventId);
      await eventually(() => late.heard.length >= stream.heard.length);
      expect(late.heard.slice(0, stream.heard.length)).toEqual(stream.heard);
      late.close();
    });

    it('serves the page, its files, and nothing beside them', async () => {
      const page = await visitor.get('/');
      expect(page.headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'cache-control': 'no-cache',
      });
      const types = ['/page/shop.css', '/page/main.js', '/client.js', '/page/icon.svg'];
      const files = await Promise.all(types.map((path) => visitor.get(path)));
      expect(files.map(({ headers }) => headers['content-type'])).toEqual([
        'text/css; charset=utf-8',
        'text/javascript; charset=utf-8',
        'text/javascript; charset=utf-8',
        'image/svg+xml; charset=utf-8',
      ]);
      for (const path of [
        '/page/..%2fmain.js',
        '/page/%2e%2e%2fpage.controller.js',
        '/page/none.js',
      ])
        expect(await visitor.get(path)).toMatchObject({ status: 404 });
    });

    it('does not send a file again that a browser has', async () => {
      const { headers } = await visitor.get('/page/shop.css');
      const response = await fetch(new URL('/page/shop.css', shop.url), {
        headers: { 'If-None-Match': headers.etag! },
      });
      expect({ status: response.status, text: await response.text() }).toEqual({
        status: 304,
        text: '',
      });
    });

    it('does not keep a shop open that is to close', async () => {
      expect(await shop.stop()).toBe(0);
    });
  });
}
