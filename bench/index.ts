import { type HttpRow, httpRounds } from './http-rounds.js';
import { type InProcessRow, inProcessRounds } from './in-process-rounds.js';
import { readOptions } from './options.js';
import { redisBenchmark } from './redis-benchmark.js';
import { report } from './report.js';
import { startServer } from './servers.js';
import type { Summary } from './statistics.js';
import { PLATFORMS } from './subjects.js';

/** How long each operation is repeated in one round. */
const IN_PROCESS_SECONDS = 0.3;

const { rounds, requests, warmUp, stores, json } = readOptions(process.argv.slice(2));
const http: HttpRow[] = [];
const inProcess: InProcessRow[] = [];
let redisLimit: Summary | undefined;

for (const store of stores) {
  const server = await startServer(store);
  const storeUrl = server?.url;
  try {
    for (const platform of PLATFORMS) {
      console.error(`${store}, ${platform} …`);
      const comparison = { platform, store, storeUrl, rounds, requests, warmUp };
      http.push(...(await httpRounds(comparison)));
    }
    console.error(`${store}, in process …`);
    inProcess.push(...(await inProcessRounds(store, rounds, IN_PROCESS_SECONDS, storeUrl)));
    if (store === 'redis' && server) redisLimit = await redisBenchmark(server.port, rounds);
  } finally {
    await server?.stop();
  }
}
const findings = { http, inProcess, redisLimit };
console.log(json ? JSON.stringify(findings) : `\n${report(findings)}`);
