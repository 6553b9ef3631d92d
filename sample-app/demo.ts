import { fileURLToPath } from 'node:url';
import { playAll, type Finding } from './demo/scenario.js';
import { SCENARIOS } from './demo/scenarios/index.js';
import { REPORT_CRON } from './demo/scenarios/reports.js';
import { startShop } from './demo/shop-process.js';
import { table } from './demo/table.js';

const MAIN = fileURLToPath(new URL('./main.js', import.meta.url));
const ADAPTERS = ['express', 'fastify'];

async function demonstrate(http: string): Promise<Finding[]> {
  const shop = await startShop(MAIN, { HTTP: http, REPORT_CRON });
  try {
    return await playAll(SCENARIOS, shop.url);
  } finally {
    await shop.stop();
  }
}

function isGood(result: PromiseSettledResult<Finding[]>): boolean {
  return result.status === 'fulfilled' && result.value.every(({ faults }) => faults.length === 0);
}

console.log(`Playing every scenario on ${ADAPTERS.join(' and ')} …`);
const results = await Promise.allSettled(ADAPTERS.map(demonstrate));

results.forEach((result, index) => {
  const http = `\nHTTP=${ADAPTERS[index]}`;
  if (result.status === 'fulfilled') console.log(table(http, result.value));
  else console.error(http, result.reason);
});
const good = results.every(isGood);
console.log(good ? '\nEvery verdict is good.' : '\nNot every verdict is good.');
process.exitCode = good ? 0 : 1;
