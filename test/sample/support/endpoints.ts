import { randomUUID } from 'node:crypto';
import { newKey, signedInAs } from '../../../sample-app/show/demo/expect.js';
import type { ShopProcess } from '../../../sample-app/show/demo/shop-process.js';
import { json, Visitor, type Call, type Reply } from '../../../sample-app/show/demo/visitor.js';
import type { Platform } from '../../support/http.js';
import { type openShop, OPENING_MS } from './shop.js';

const created = (body: object) => ({ status: 201, body: expect.objectContaining(body) });
const found = (body: object) => ({ status: 200, body: expect.objectContaining(body) });
const problem = (status: number, members: object = {}) => ({
  status,
  type: expect.stringContaining('application/problem+json'),
  body: expect.objectContaining({ status, title: expect.any(String), ...members }),
});

/** What a caller sees of a reply. */
const seen = (reply: Reply) => ({
  status: reply.status,
  type: reply.headers['content-type'],
  body: json(reply),
});

export function describeEndpoints(http: Platform, open: typeof openShop): void {
  describe(`the shop on ${http}`, () => {
    let shop: ShopProcess;
    let visitor: Visitor;

    beforeAll(async () => {
      shop = await open({ HTTP: http });
      visitor = new Visitor(shop.url);
    }, OPENING_MS);

    afterAll(() => shop?.stop());

    const send = async (call: Call) => seen(await visitor.send(call));

    /** Sends the call twice and expects one run and the same bytes. */
    async function sendTwice(call: Call): Promise<ReturnType<typeof seen>> {
      const first = await visitor.send(call);
      const second = await visitor.send(call);
      expect(second.headers['idempotent-replayed']).toBe('true');
      expect({ status: second.status, bytes: second.body }).toEqual({
        status: first.status,
        bytes: first.body,
      });
      return seen(first);
    }

    it('lists every protected route and every table before anything has happened', async () => {
      expect(await visitor.effects()).toEqual({
        'POST /orders': 0,
        'DELETE /orders': 0,
        'POST /orders/:id/pay': 0,
        'POST /orders/:id/ship': 0,
        'POST /orders/:id/cancel': 0,
        'POST /orders/:id/invalidate': 0,
        'POST /payments': 0,
        'POST /payments/by-order': 0,
        'POST /transfers': 0,
        'POST /goods/:id/decrement': 0,
        'PUT /goods/:id': 0,
        'PUT /goods/:id/name': 0,
        'PUT /goods/:id/categories/:categoryId': 0,
        'POST /coupons/:id/claim': 0,
        'POST /comments': 0,
        'POST /votes/:target': 0,
        'POST /slow': 0,
        'POST /flaky': 0,
        'POST /messages/order-events': 0,
        SMS: 0,
        'POST /imports': 0,
        'JOB imports': 0,
        'CRON reports': 0,
      });
      expect(await visitor.ledger()).toEqual({
        comments: 0,
        coupons: 0,
        goods: 5,
        goods_categories: 0,
        imported_rows: 0,
        orders: 0,
        payments: 0,
        reports: 0,
        sms: 0,
        transfers: 0,
        votes: 0,
      });
    });

    it('is healthy while its database answers', async () => {
      expect(await visitor.read('/health')).toMatchObject({
        status: 'ok',
        info: { database: { status: 'up' }, records: { status: 'up' } },
      });
    });

    it('takes a payment once per key', async () => {
      const body = { orderId: 'o-1', amount: 9.99 };
      const reply = await sendTwice({ path: '/payments', headers: newKey(), body });
      expect(reply).toMatchObject(created({ id: expect.any(Number), ...body }));
    });

    it('refuses a payment without a key and does not run it', async () => {
      const before = await visitor.effects();
      const reply = await send({ path: '/payments', body: { orderId: 'o-1', amount: 1 } });
      expect(reply).toMatchObject(problem(400, { code: 'IDEMPOTENCY_KEY_REQUIRED' }));
      expect(await visitor.effects()).toEqual(before);
    });

    it('takes a payment once per order number', async () => {
      const body = { orderNo: 4711, amount: 5 };
      const reply = await sendTwice({ path: '/payments/by-order', body });
      expect(reply).toMatchObject(created(body));
    });

    it('transfers once per client and serial number, and wants both', async () => {
      const call = { path: '/transfers', body: { serialNo: '1', amount: 5, memo: 'rent' } };
      const reply = await sendTwice({ ...call, headers: { 'X-Client-Id': 'north' } });
      expect(reply).toMatchObject(created({ clientId: 'north', serialNo: '1', amount: 5 }));
      expect(await send(call)).toMatchObject(problem(400, { code: 'IDEMPOTENCY_KEY_REQUIRED' }));

      const transfer = await visitor.read(`/transfers/${String(reply.body.id)}`);
      expect(transfer).toEqual({ ...reply.body, sent: call.body });
    });

    it('takes stock once per key', async () => {
      const call = { path: '/goods/2/decrement', headers: newKey(), body: { by: 4 } };
      expect(await sendTwice(call)).toMatchObject(created({ id: 2, stock: 996 }));
    });

    it('renames goods once for each version that was seen', async () => {
      const name = `lamp ${http}`;
      const put: Call = { method: 'PUT', path: '/goods/4', body: { name } };
      const seenVersion = { 'If-Match': String((await visitor.get('/goods/4')).headers.etag) };
      expect(await sendTwice({ ...put, headers: seenVersion })).toMatchObject(found({ name }));
      expect((await visitor.get('/goods/4')).headers.etag).toBe('"2"');

      const stale = { ...put, headers: seenVersion, body: { name: 'other' } };
      expect(await send(stale)).toMatchObject(problem(412, { current: 2 }));
      expect(await send(put)).toMatchObject(problem(428));
      expect(await send({ ...put, path: '/goods/6', headers: seenVersion })).toMatchObject(
        problem(404),
      );
      expect(seen(await visitor.get('/goods/6'))).toMatchObject(problem(404));
    });

    it('keeps the newest name, whenever it comes', async () => {
      const rename = (name: string, version: number): Call => ({
        method: 'PUT',
        path: '/goods/3/name',
        body: { name, version },
      });
      const newest = await sendTwice(rename('newest', 7));
      expect(newest).toMatchObject(found({ id: 3, name: 'newest', version: 7 }));
      expect(await send(rename('older', 6))).toMatchObject(problem(409, { current: 7 }));
      expect(await visitor.read('/goods/3')).toMatchObject({ name: 'newest', version: 7 });
    });

    it('puts goods into a category once, and says whether it was this time', async () => {
      const call: Call = { method: 'PUT', path: '/goods/1/categories/9' };
      expect(await send(call)).toMatchObject({ status: 200, body: { inserted: true } });
      expect(await send(call)).toMatchObject({ status: 200, body: { inserted: false } });
    });

    it('places an order once per token, and takes it through its states', async () => {
      const body = { sku: 'lamp', quantity: 2 };
      const headers = await visitor.token(signedInAs('alice'));
      const order = await sendTwice({ path: '/orders', headers, body });
      expect(order).toMatchObject(created({ ...body, status: 'created' }));

      const path = `/orders/${String(order.body.id)}`;
      expect(await send({ path: `${path}/ship` })).toMatchObject(
        problem(409, { current: 'created', wanted: 'shipped' }),
      );
      const paid = await sendTwice({ path: `${path}/pay` });
      expect(paid).toMatchObject(created({ ...body, status: 'paid' }));
      expect(await sendTwice({ path: `${path}/ship` })).toMatchObject(
        created({ status: 'shipped' }),
      );
      expect(await send({ path: `${path}/cancel` })).toMatchObject(problem(409));
      expect(await visitor.read(path)).toEqual({ ...order.body, status: 'shipped' });
    });

    it('deletes invalid orders once per token', async () => {
      const order = (headers: Record<string, string>) =>
        send({ path: '/orders', headers, body: { sku: 'lamp', quantity: 1 } });
      const { id } = (await order(await visitor.token())).body;
      expect(await send({ path: `/orders/${String(id)}/invalidate` })).toMatchObject(
        created({ status: 'invalid' }),
      );
      const call: Call = {
        method: 'DELETE',
        path: '/orders?status=invalid',
        headers: await visitor.token(),
      };
      expect(await sendTwice(call)).toMatchObject({ status: 200, body: { deleted: 1 } });
      expect(seen(await visitor.get(`/orders/${String(id)}`))).toMatchObject(problem(404));
    });

    it('takes no token that was issued to somebody else', async () => {
      const alices = await visitor.token(signedInAs('alice'));
      const call = { path: '/orders', body: { sku: 'lamp', quantity: 1 } };
      const bobs = { ...call, headers: { ...alices, ...signedInAs('bob') } };
      expect(await send(bobs)).toMatchObject(problem(422, { code: 'IDEMPOTENCY_TOKEN_INVALID' }));
      expect(await send(call)).toMatchObject(problem(400, { code: 'IDEMPOTENCY_KEY_REQUIRED' }));
    });

    it('gives every piece of a coupon to one claim', async () => {
      const claims = await visitor.sendAtOnce({ path: '/coupons/spring/claim' }, 5);
      const numbers = new Set(claims.map((reply) => json(reply).no));
      expect(numbers).toEqual(new Set([1, 2, 3, 4, 5]));
      expect(await visitor.read('/coupons/spring')).toEqual({ id: 'spring', left: 95 });
    });

    it('tells what is out of stock from what is unknown', async () => {
      const take = (id: string, by: number) =>
        send({ path: `/goods/${id}/decrement`, headers: newKey(), body: { by } });
      expect(await take('3', 1001)).toMatchObject(problem(409));
      expect(await take('6', 1)).toMatchObject(problem(404));
    });

    it('takes the same words of one author as one comment, and of two authors as two', async () => {
      const body = { text: randomUUID() };
      const alices = await sendTwice({ path: '/comments', headers: signedInAs('alice'), body });
      expect(alices).toMatchObject(created({ author: 'alice', ...body }));
      const anonymous = await send({ path: '/comments', body });
      expect(anonymous).toMatchObject(created({ author: null, ...body }));
    });

    it('counts one vote per person and target, and none of a stranger', async () => {
      const [path, headers] = ['/votes/lamp', signedInAs('alice')];
      expect(await send({ path, headers })).toMatchObject(
        created({ voter: 'alice', target: 'lamp' }),
      );
      expect(await send({ path, headers })).toMatchObject(
        problem(409, { code: 'IDEMPOTENCY_DUPLICATE' }),
      );
      expect(await send({ path })).toMatchObject(problem(401));
      const unknownScheme = { Authorization: 'Basic YWxpY2U6' };
      expect(await send({ path, headers: unknownScheme })).toMatchObject(problem(401));
    });

    it('accepts a vote that names a content type and has no body', async () => {
      const headers = { 'Content-Type': 'application/json', ...signedInAs('alice') };
      expect(await send({ path: '/votes/chair', headers })).toMatchObject(
        created({ target: 'chair' }),
      );
    });

    it('works slowly once', async () => {
      const reply = await sendTwice({ path: '/slow', headers: newKey(), body: { ms: 10 } });
      expect(reply).toMatchObject(created({ ms: 10, attempt: 1 }));
    });

    it('fails as often as asked, then works', async () => {
      const call = { path: '/flaky', headers: newKey(), body: { fail: 1 } };
      expect(await send(call)).toMatchObject(problem(500));
      expect(await sendTwice(call)).toMatchObject(created({ fail: 1, attempt: 2 }));
    });

    it.each<[string, object, string]>([
      ['/orders', { sku: 'lamp', quantity: 0 }, 'quantity'],
      ['/payments', { orderId: '', amount: 1 }, 'orderId'],
      ['/payments', { orderId: 'o-1', amount: 1.999 }, 'amount'],
      ['/payments', { orderId: 'o-1', amount: -1 }, 'amount'],
      ['/payments/by-order', { orderNo: 'n-1' }, 'amount'],
      ['/goods/1/decrement', { by: 0 }, 'by'],
      ['/goods/lamp/decrement', { by: 1 }, 'id'],
      ['/comments', { text: '' }, 'text'],
      ['/slow', { ms: 'long' }, 'ms'],
      ['/flaky', { fail: -1 }, 'fail'],
    ])('refuses %s %j and does not run it', async (path, body, field) => {
      const before = await visitor.effects();
      const headers = path === '/orders' ? await visitor.token() : newKey();
      const reply = await send({ path, headers, body });
      expect(reply).toMatchObject(problem(400, { fields: { [field]: expect.any(Array) } }));
      expect(await visitor.effects()).toEqual(before);
    });

    it('accepts a corrected request under the same key', async () => {
      const headers = newKey();
      const pay = (amount: number) =>
        send({ path: '/payments', headers, body: { orderId: 'o-2', amount } });
      expect(await pay(0)).toMatchObject(problem(400));
      expect(await pay(3)).toMatchObject(created({ amount: 3 }));
    });

    it('refuses messages about orders that are not there', async () => {
      const body = { messageId: 'm-1', orderId: randomUUID(), status: 'paid' };
      const path = '/messages/order-events';
      expect(await send({ path, body })).toMatchObject(problem(404));
      expect(await send({ path, body: { ...body, orderId: 'o-1' } })).toMatchObject(
        problem(400, { fields: { orderId: expect.any(Array) } }),
      );
    });

    it('says what imports need', async () => {
      for (const reply of [
        await send({ path: '/imports', headers: newKey(), body: { rows: 1 } }),
        seen(await visitor.get(`/imports/${randomUUID()}`)),
      ])
        expect(reply).toMatchObject(problem(501, { detail: expect.stringContaining('REDIS_URL') }));
    });

    it('has counted in SQL what it did', async () => {
      expect(await visitor.ledger()).toEqual({
        comments: 2,
        coupons: 1,
        goods: 5,
        goods_categories: 1,
        imported_rows: 0,
        orders: 1,
        payments: 3,
        reports: 0,
        sms: 0,
        transfers: 1,
        votes: 2,
      });
    });

    it('goes on with everything else beside payments, with one connection for all', async () => {
      const calls = Array.from({ length: 5 }, (_, i): Call[] => [
        { path: '/payments', headers: newKey(), body: { orderId: `many-${i}`, amount: 1 } },
        { path: '/payments/by-order', body: { orderNo: `many-${i}`, amount: 1 } },
        { path: '/goods/5/decrement', headers: newKey(), body: { by: 1 } },
      ]).flat();
      const replies = Promise.all(calls.map((call) => visitor.send(call)));
      const reads = await Promise.all([visitor.read('/health'), visitor.ledger()]);

      expect(reads[0]).toMatchObject({ status: 'ok' });
      expect((await replies).map(({ status }) => status)).toEqual(calls.map(() => 201));
    });

    it('finishes on SIGTERM what it has begun, and exits with 0', async () => {
      const { 'POST /slow': before } = await visitor.effects();
      const running = send({ path: '/slow', headers: newKey(), body: { ms: 1000 } });
      await visitor.untilRan('POST /slow', before + 1);
      const code = shop.stop('SIGTERM');
      expect(await running).toMatchObject(created({ ms: 1000 }));
      expect(await code).toBe(0);
    });
  });
}
