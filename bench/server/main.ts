import type { AddressInfo } from 'node:net';
import { openRecords } from '../records/records.js';
import type { Platform, Store, Subject } from '../subjects.js';
import { createApp } from './app.js';

/** From the server to whoever started it: its port once, then its processor time when asked. */
export type Report = { readonly port: number } | { readonly cpuMicros: number };

const report = (message: Report): void => void process.send?.(message);

process.once('disconnect', () => process.exit());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  report({ cpuMicros: user + system });
});

const [platform, store, subject, url] = process.argv.slice(2) as [Platform, Store, Subject, string];
const app = await createApp(platform, subject, await openRecords(store, url));
await app.listen(0, '127.0.0.1');
report({ port: (app.getHttpServer().address() as AddressInfo).port });
