import { fileURLToPath } from 'node:url';
import { playAll, type Finding } from './scenario.js';
import { scenariosOf } from './scenarios/index.js';
import { REPORT_CRON } from './scenarios/reports.js';
import { startShop } from './shop-process.js';
import { table } from './table.js';

const MAIN = fileURLToPath(new URL('../../main.js', import.meta.url));
const ADAPTERS = ['express', 'fastify'];

async function demonstrate(http: string): Promise<Finding[]> {
  const REDIS_URL = ownDatabase(process.env.REDIS_URL, ADAPTERS.indexOf(http));
  const shop = await startShop(MAIN, { HTTP: http, REPORT_CRON, REDIS_URL });
  try {
    return await playAll(scenariosOf({ REDIS_URL }), shop.url);
  } finally {
    await shop.stop();
  }
}

/** Shops that share a Redis would do each other's work. */
function ownDatabase(url: string | undefined, index: number): string | undefined {
  return url && Object.assign(new URL(url), { pathname: `/${index}` }).href;
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
