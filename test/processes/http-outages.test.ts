import { Controller, Post } from '@nestjs/common';
import { Idempotent } from 'nestjs-idempotency';
import {
  boot,
  eventually,
  expectProblem,
  expectReplay,
  PLATFORMS,
  type Reply,
  type TestApp,
} from '../support/http.js';
import type { PrivateServer } from '../support/servers/private-server.js';
import { ask } from '../support/servers/redis.js';
import { SLACK_MS, STORE_TIMEOUT_MS } from './support/nodes.js';
import { openStore, type OpenStore, type ServerName } from './support/open-store.js';
import { administer, SERVERS } from './support/servers.js';
import { keyOf } from './support/shops.js';

let runs = 0;
let gate: Promise<void> | undefined;
let entered = (): void => {};

@Controller()
class PaymentsController {
  @Post('payments')
  @Idempotent()
  async pay(): Promise<{ run: number }> {
    const run = ++runs;
    entered();
    await gate;
    return { run };
  }
}

type Turn = (server: PrivateServer) => Promise<unknown>;

const sql = (name: 'PostgreSQL' | 'MariaDB', statement: string): Turn => {
  return ({ port }) => administer(name, port, (source) => source.query(statement));
};

/** How a server comes to have no room for another record, and gets it back. */
const FULL: Record<ServerName, { begin: Turn; end: Turn }> = {
  Redis: {
    begin: ({ port }) => ask(port, 'CONFIG', 'SET', 'maxmemory', '1'),
    end: ({ port }) => ask(port, 'CONFIG', 'SET', 'maxmemory', '0'),
  },
  PostgreSQL: {
    begin: sql(
      'PostgreSQL',
      `CREATE FUNCTION full_disk() RETURNS trigger AS
         $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$
         LANGUAGE plpgsql;
       CREATE TRIGGER full_disk BEFORE INSERT ON idempotency_records
         EXECUTE FUNCTION full_disk()`,
    ),
    end: sql('PostgreSQL', 'DROP FUNCTION full_disk CASCADE'),
  },
  MariaDB: {
    begin: sql(
      'MariaDB',
      `CREATE TRIGGER full_disk BEFORE INSERT ON idempotency_records FOR EACH ROW
         SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1021, MESSAGE_TEXT = 'Disk full'`,
    ),
    end: sql('MariaDB', 'DROP TRIGGER full_disk'),
  },
};

/** Every server, and both platforms: neither knows of the other. */
const CASES = SERVERS.map((kind, index) => {
  const platform = PLATFORMS[index % PLATFORMS.length]!;
  return { kind, platform, name: `${kind.name}, ${platform}` };
});

describe.each(CASES)('a Nest application whose server fails: $name', ({ kind, platform }) => {
  let server: PrivateServer;
  let opened: OpenStore;
  let app: TestApp;

  beforeAll(async () => {
    server = await kind.start();
  }, 60_000);

  beforeEach(async () => {
    runs = 0;
    gate = undefined;
    opened = await openStore(kind.name, server.port);
    app = await boot(platform, {
      controllers: [PaymentsController],
      idempotency: { store: opened.store, storeTimeout: STORE_TIMEOUT_MS },
    });
  });

  afterEach(async () => {
    await app.close();
    await opened.close();
  });

  afterAll(() => server?.stop());

  const pay = (text: string): Promise<Reply> => app.send('/payments', { key: keyOf(text) });

  async function expectUnavailable(key: string): Promise<void> {
    const startedAt = performance.now();
    const reply = await pay(key);
    expectProblem(reply, 503, 'IDEMPOTENCY_STORE_UNAVAILABLE');
    expect(reply.headers['retry-after']).toBe('1');
    expect(performance.now() - startedAt).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
  }

  /** Without a restart of the application. */
  async function expectRecovery(key: string): Promise<void> {
    let first: Reply | undefined;
    await eventually(async () => (first = await pay(key)).status === 201);
    expectReplay(first!, await pay(key));
  }

  it.each<[string, Turn, Turn]>([
    ['killed', () => server.kill(), () => server.restart()],
    ['standing still', async () => server.pause(), async () => server.resume()],
    ['full', FULL[kind.name].begin, FULL[kind.name].end],
  ])('answers 503 while it is %s, runs nothing, and recovers', async (name, fail, recover) => {
    await expectRecovery(`before it is ${name}`);
    await fail(server);
    await expectUnavailable(`while it is ${name}`);
    await expectUnavailable(`while it is ${name}`);
    expect(runs).toBe(1);
    await recover(server);
    await expectRecovery(`while it is ${name}`);
    expect(runs).toBe(2);
  });

  it('sends the reply of a handler whose record cannot be written, and writes it later', async () => {
    let open = (): void => {};
    gate = new Promise((resolve) => (open = resolve));
    const handlerRuns = new Promise<void>((resolve) => (entered = resolve));
    runs = 700;
    const first = pay('late');
    await handlerRuns;
    server.pause();
    open();
    expect((await first).status).toBe(201);
    server.resume();
    await eventually(async () => (await opened.replies()).includes('"run":701'));
    expectReplay(await first, await pay('late'));
    expect(runs).toBe(701);
  });

  it('shuts down while it is gone', async () => {
    await expectRecovery('before the end');
    await server.kill();
    const startedAt = performance.now();
    await app.app.close();
    expect(performance.now() - startedAt).toBeLessThan(STORE_TIMEOUT_MS + SLACK_MS);
    await server.restart();
  });
});
