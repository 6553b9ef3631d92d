import { Controller, Post } from '@nestjs/common';
import { Idempotent, type IdempotentOperation, Operation } from 'nestjs-idempotency';
import { openStore, type OpenStore } from '../processes/support/open-store.js';
import { administer, SQL_SERVERS } from '../processes/support/servers.js';
import { boot, eventually, expectProblem, type Reply, type TestApp } from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

const STORE_TIMEOUT_MS = 500;
/** What a busy machine may add to any bound. */
const SLACK_MS = 10_000;

/** Handlers do this after they have written. */
let afterwards: () => unknown = () => undefined;

describe.each(SQL_SERVERS)('a transaction on $name whose server fails', ({ name, start }) => {
  let server: PrivateServer;
  let proxy: TcpProxy;
  let books: OpenStore;
  let shop: TestApp;
  let other: TestApp;
  const opened: OpenStore[] = [];

  async function app(port: number): Promise<TestApp> {
    const business = await openStore(name, port);
    opened.push(business);
    @Controller()
    class PaymentsController {
      @Post('payments')
      @Idempotent({ transaction: true })
      async pay(@Operation() { key, manager }: IdempotentOperation): Promise<{ paid: string }> {
        await business.act(key!, manager);
        await afterwards();
        return { paid: key! };
      }
    }
    return boot('express', {
      controllers: [PaymentsController],
      idempotency: { store: business.store, storeTimeout: STORE_TIMEOUT_MS },
    });
  }

  beforeAll(async () => {
    server = await start();
    proxy = await TcpProxy.start(server.port);
    books = await openStore(name, server.port);
    shop = await app(proxy.port);
    other = await app(server.port);
  }, 60_000);

  beforeEach(() => {
    afterwards = () => undefined;
  });

  afterEach(() => server.resume());

  afterAll(async () => {
    await shop?.close();
    await other?.close();
    for (const business of [...opened, books]) await business?.close();
    await proxy?.stop();
    await server?.stop();
  });

  const pay = (to: TestApp, key: string): Promise<Reply> => to.send('/payments', { key });

  async function expectUnavailable(paying: Promise<Reply>): Promise<void> {
    const startedAt = performance.now();
    expectProblem(await paying, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(performance.now() - startedAt).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
  }

  /** Without a restart of the application, and whatever became of the call before. */
  async function expectOneEffect(key: string): Promise<Reply> {
    let told: Reply | undefined;
    for (const to of [shop, other]) {
      await eventually(async () => (told = await pay(to, key)).status === 201);
      expect(told!.json()).toEqual({ paid: key });
    }
    expect(await books.effects(key)).toBe(1);
    return told!;
  }

  it('sends an error when the connection is cut before the commit was executed', async () => {
    const sprung = proxy.cutAt('commit', 'before');
    await expectUnavailable(pay(shop, 'cut-before'));
    await sprung;
    expect(await books.effects('cut-before')).toBe(0);
    const retry = await pay(other, 'cut-before');
    expect([retry.status, retry.headers['idempotent-replayed']]).toEqual([201, undefined]);
    await expectOneEffect('cut-before');
  });

  it('looks what became of a commit whose answer is cut off, and sends the reply', async () => {
    const sprung = proxy.cutAt('commit', 'after');
    const paid = await pay(shop, 'cut-after');
    await sprung;
    expect([paid.status, paid.headers['idempotent-replayed']]).toEqual([201, undefined]);
    expect(await books.effects('cut-after')).toBe(1);
    const retry = await pay(other, 'cut-after');
    expect([retry.status, retry.headers['idempotent-replayed']]).toEqual([201, 'true']);
  });

  it('undoes the work when the connection is cut while the handler runs', async () => {
    afterwards = () => proxy.cutAll();
    await expectUnavailable(pay(shop, 'cut-inside'));
    expect(await books.effects('cut-inside')).toBe(0);
    afterwards = () => undefined;
    await expectOneEffect('cut-inside');
  });

  it('does not hang when the server stands still at the commit, and tells the truth later', async () => {
    afterwards = () => server.pause();
    await expectUnavailable(pay(shop, 'paused'));
    afterwards = () => undefined;
    await expectUnavailable(pay(other, 'paused'));
    server.resume();
    await expectOneEffect('paused');
  });

  it('does not hang when the handler fails while the server stands still', async () => {
    afterwards = () => {
      server.pause();
      throw new Error('out of order');
    };
    const startedAt = performance.now();
    expect((await pay(shop, 'failed')).status).toBe(500);
    expect(performance.now() - startedAt).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
    afterwards = () => undefined;
    server.resume();
    await expectOneEffect('failed');
  });

  it('keeps both or neither when the server is killed at the commit', async () => {
    afterwards = () => server.kill();
    await expectUnavailable(pay(shop, 'killed'));
    afterwards = () => undefined;
    await server.restart();
    await expectOneEffect('killed');
  });

  it('refuses while the table of the records is missing, and runs when it is back', async () => {
    const rename = (from: string, to: string): Promise<void> =>
      administer(name, server.port, (source) =>
        source.query(`ALTER TABLE ${from} RENAME TO ${to}`),
      );
    await rename('idempotency_records', 'elsewhere');
    await expectUnavailable(pay(shop, 'missing'));
    expect(await books.effects('missing')).toBe(0);
    await rename('elsewhere', 'idempotency_records');
    await expectOneEffect('missing');
  });
});
