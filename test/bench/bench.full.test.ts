import type { INestApplication } from '@nestjs/common';
import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { fire, newKeys, sendOne } from '../../bench/load.js';
import { openRecords, type Records } from '../../bench/records/records.js';
import { report } from '../../bench/report.js';
import { createApp } from '../../bench/server/app.js';
import { startServer, type StoreServer } from '../../bench/servers.js';
import { summarize } from '../../bench/statistics.js';
import { COMPARISONS, PLATFORMS, STORES, type Subject } from '../../bench/subjects.js';

describe.each(STORES)('what the bench measures with %s', (store) => {
  let server: StoreServer | undefined;
  let records: Records;
  let app: INestApplication | undefined;

  beforeAll(async () => {
    server = await startServer(store);
    records = await openRecords(store, server?.url ?? '');
  });
  afterEach(() => app?.close());
  afterAll(async () => {
    await records.close();
    await server?.stop();
  });

  const subjects = Object.keys(COMPARISONS[store].baselines) as Subject[];
  const unprotected: readonly Subject[] = ['bare', 'undecorated', 'do-nothing'];

  it.each(PLATFORMS.flatMap((platform) => subjects.map((subject) => [platform, subject] as const)))(
    '%s: %s does what its name says',
    async (platform, subject) => {
      app = await createApp(platform, subject, records);
      await app.listen(0, '127.0.0.1');
      const { port } = app.getHttpServer().address() as AddressInfo;
      const url = `http://127.0.0.1:${port}/orders`;
      const key = randomUUID();
      const [first, again] = [await sendOne(url, key), await sendOne(url, key)];
      expect(first === again).toBe(!unprotected.includes(subject));
      const load = await fire(url, { connections: 2, requests: 20, key: newKeys() });
      expect(load.requests).toBe(20);
    },
  );
});

describe('what the bench prints', () => {
  it('is the middle of all rounds, and how far they lie apart', () => {
    const perSecond = summarize([900, 1_000, 1_100, 1_200]);
    const row = {
      store: 'memory',
      name: 'an operation',
      perSecond,
      cpuMicros: summarize([2]),
    } as const;
    expect(report({ http: [], inProcess: [row], redisLimit: undefined })).toContain(
      '| an operation | 1 050 |  ±14 % |   2.00 |',
    );
  });

  it('refuses to make something of nothing', () => {
    expect(() => summarize([])).toThrow(RangeError);
  });
});
